import { expect } from 'chai';
import { read, refusal, webService } from '../k8s/workload.ts';

const job = 'name: api\ntype: Scheduled Job\nimage: { build: D }';

describe("Copilot's rules", () => {
  for (const [text, message] of [
    ['type: Load Balanced Web Service\nimage: { build: D, port: 80 }\nhttp: { path: / }', 'name is missing'],
    [
      'name: my api\ntype: Load Balanced Web Service\nimage: { build: D, port: 80 }\nhttp: { path: / }',
      '"my api" can\'t name anything in Kubernetes',
    ],
    ['name: api\ntype: Load Balanced Web Service\nimage: { build: D, port: 80 }', 'http is missing'],
    [webService('image: { port: 80 }'), 'image.build or image.location is missing'],
    [webService('image: { build: D, location: x, port: 80 }'), 'image.build and image.location exclude each other'],
    [webService('image: { build: D }'), 'image.port is missing'],
    [webService('http: false'), 'http is false: then nlb has to be there'],
    [webService('http: { healthcheck: /up }'), 'http.path is missing'],
    [
      webService('http: { path: /, additional_rules: [{ target_port: 81 }] }'),
      'http.additional_rules.0.path is missing',
    ],
    [webService('http: { path: /, hosted_zone: Z }'), 'http.hosted_zone needs an alias beside it'],
    [
      webService('http: { path: /, allowed_source_ips: [10.0.0.0/8, 10.0.0.1] }'),
      '"10.0.0.1" is no range of addresses',
    ],
    [
      webService('http: { path: /, target_container: nginx }'),
      'the target container "nginx" is not among the sidecars',
    ],
    [
      webService('http: { path: /, target_container: nginx }', 'sidecars: { nginx: { image: n } }'),
      'the target container "nginx" exposes no port',
    ],
    [webService('nlb: { target_port: 80 }'), 'nlb.port is missing'],
    [
      webService('count: { spot: 1, range: 1-2, cpu_percentage: 1 }'),
      'count.spot and scaling by count.range exclude each other',
    ],
    [webService('count: { cpu_percentage: 70 }'), "count.range is missing: cpu_percentage can't scale without it"],
    [webService('count: { range: 1-2 }'), 'count.range needs something to scale by'],
    [webService('count: { range: 3-1, cpu_percentage: 1 }'), 'count.range: the minimum is above the maximum'],
    [webService('count: { range: { min: 1 }, cpu_percentage: 1 }'), 'count.range needs both min and max'],
    [webService('count: { cooldown: { in: 1m } }'), 'count.cooldown needs something to scale by'],
    [
      webService('count: { range: 1-2, queue_delay: { acceptable_latency: 1s, msg_processing_time: 1s } }'),
      'a Load Balanced Web Service does not scale by queue_delay',
    ],
    [
      webService('http: false', 'nlb: { port: 80 }', 'count: { range: 1-2, requests: 5 }'),
      'http is false: nothing to scale by requests',
    ],
    [
      webService('deployment: { rollback_alarms: { messages_delayed: 5 } }'),
      'has no queue whose messages could be delayed',
    ],
    [webService('storage: { volumes: { v: { efs: true } } }'), 'storage.volumes.v.path is missing'],
    [
      webService('storage: { volumes: { v: { path: /v, efs: { uid: 5, gid: 5, id: fs-1 } } } }'),
      'uid and gid exclude id, root_dir and auth',
    ],
    [webService('storage: { volumes: { v: { path: /v, efs: { uid: 5 } } } }'), 'uid and gid go together'],
    [webService('storage: { volumes: { v: { path: /v, efs: { uid: 0, gid: 0 } } } }'), 'uid must not be 0'],
    [webService('sidecars: { s: { port: 80 } }'), 'sidecars.s.image is missing'],
    [
      webService('sidecars: { s: { image: { build: D, location: x } } }'),
      'image.build and image.location exclude each other',
    ],
    [
      webService('sidecars: { s: { image: x, mount_points: [{ source_volume: v, path: /v }] } }'),
      'no volume "v" in storage.volumes',
    ],
    [webService('sidecars: { s: { image: x, depends_on: { t: start } } }'), 'there is no container "t"'],
    [
      webService('image: { build: D, port: 80, depends_on: { s: success } }', 'sidecars: { s: { image: x } }'),
      '"s" is essential, so it never ends',
    ],
    [
      webService('sidecars: { s: { image: x, depends_on: { t: start } }, t: { image: x, depends_on: { s: start } } }'),
      'depends_on goes in a circle: s → t → s',
    ],
    [
      'name: api\ntype: Backend Service\nimage: { build: D }\nhttp: false',
      'a Backend Service has no http: true or false',
    ],
    [
      'name: api\ntype: Backend Service\nimage: { build: D }\nhttp: { path: / }',
      'http needs an image.port to send requests to',
    ],
    ['name: api\ntype: Worker Service\nimage: { build: D, port: 80 }', 'a Worker Service has no image.port'],
    [
      'name: api\ntype: Worker Service\nimage: { build: D }\ncount: { range: 1-2, requests: 5 }',
      'a Worker Service does not scale by requests',
    ],
    [job, 'on.schedule is missing'],
    [`${job}\non: { schedule: "@daily" }\ncount: { range: 1-2, cpu_percentage: 1 }`, 'a Scheduled Job does not scale'],
  ] as const) {
    it(`refuse: ${message}`, () => {
      expect(refusal(text)).to.contain(message);
    });
  }

  it('point to the line of the field that breaks them', () => {
    expect(refusal(webService('cpu: 256', 'count:', '  range: 1-2'))).to.match(/^manifest.yml:7: /);
  });

  it('are applied to what an environment makes of the manifest', () => {
    const text =
      'name: api\ntype: Load Balanced Web Service\nhttp: { path: / }\nenvironments: { test: { image: { location: x, port: 80 } } }';
    expect(() => read(text)).not.to.throw();
  });
});
