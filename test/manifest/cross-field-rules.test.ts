import { expect } from 'chai';
import { read, refusal, webService } from '../k8s/workload.ts';
import { accepted, acceptedFiles, refused } from './examples.ts';

describe("Copilot's rules", () => {
  for (const [text, message] of refused) {
    it(`refuse ${text.split('\n').slice(1).join(' | ').slice(0, 300)}`, () => {
      expect(refusal(text)).to.contain(message);
    });
  }

  for (const text of [...accepted, ...acceptedFiles]) {
    it(`accept ${text.split('\n').slice(1).join(' | ').slice(0, 300)}`, () => {
      expect(() => read(text)).not.to.throw();
    });
  }

  // What a mutation run found untested: both sides of a limit.
  const worker = (...lines: string[]) => ['name: w\ntype: Worker Service\nimage: { build: D }', ...lines].join('\n');
  const fifo = (fields: string) => worker(`subscribe: { queue: { fifo: { ${fields} } } }`);
  const ips = (list: string) => webService(`http: { path: /, allowed_source_ips: [${list}] }`);
  const publisher = (name: string) => worker(`subscribe: { topics: [{ name: t, service: ${name} }] }`);
  const mount = (fields: string) =>
    webService(
      'storage: { volumes: { v: { path: /v } } }',
      `sidecars: { s: { image: x, mount_points: [{ ${fields} }] } }`,
    );
  const delay = (fields: string) => worker(`count: { range: 1-5, queue_delay: { ${fields} } }`);
  const job = (length: number) =>
    `name: ${'j'.repeat(length)}\ntype: Scheduled Job\non: { schedule: "@daily" }\nimage: { build: D }`;
  const limits: readonly (readonly [taken: string, refused: string, message: string])[] = [
    [fifo('throughput_limit: perQueue'), fifo('throughput_limit: perTopic'), 'throughput_limit "perTopic"'],
    [fifo('deduplication_scope: queue'), fifo('deduplication_scope: topic'), 'deduplication_scope "topic"'],
    [job(52), job(53), '52 at most'],
    [
      fifo('throughput_limit: perMessageGroupId, deduplication_scope: messageGroup'),
      fifo('throughput_limit: perMessageGroupId, deduplication_scope: queue'),
      'throughput_limit has to be perQueue',
    ],
    [
      fifo('high_throughput: true'),
      fifo('high_throughput: true, deduplication_scope: queue'),
      'high_throughput excludes',
    ],
    [
      fifo('high_throughput: true'),
      fifo('high_throughput: true, throughput_limit: perQueue'),
      'high_throughput excludes',
    ],
    [ips('10.0.0.0/32'), ips('10.0.0.0/33'), 'is not an address range'],
    [ips('"2001:db8::/32"'), ips('10.0.0.0/8/8'), 'is not an address range'],
    [ips('10.0.0.0/0'), ips('10.0.0/8'), 'is not an address range'],
    [publisher('a-1'), publisher('a--1'), 'service "a--1"'],
    [publisher('ab'), publisher('ab-'), 'service "ab-"'],
    [publisher('a1'), publisher('1a'), 'service "1a"'],
    [
      webService(
        'nlb: { port: 53/udp, target_port: 54, healthcheck: { port: 55 }, additional_listeners: [{ port: 53/tcp, target_port: 55 }] }',
      ),
      webService('nlb: { port: 53/tls, target_port: 54, additional_listeners: [{ port: 53/tcp, target_port: 55 }] }'),
      'port 53 has two listeners',
    ],
    [mount('source_volume: v, path: /m'), mount('source_volume: w, path: /m'), 'no volume "w"'],
    [mount('source_volume: v, path: /m'), mount('path: /m'), 'source_volume is missing'],
    [mount('source_volume: v, path: /m'), mount('source_volume: v'), 'path is missing'],
    [
      webService('count: { range: 2-2, cpu_percentage: 70 }'),
      webService('count: { range: 3-2, cpu_percentage: 70 }'),
      'the minimum is above the maximum',
    ],
    [
      delay('acceptable_latency: 1s, msg_processing_time: 1s'),
      delay('acceptable_latency: 1s, msg_processing_time: 1001ms'),
      'msg_processing_time is longer than acceptable_latency',
    ],
    [
      delay('acceptable_latency: 1s, msg_processing_time: 1s'),
      delay('acceptable_latency: 1s'),
      'needs acceptable_latency and msg_processing_time',
    ],
  ];
  for (const [taken, wrong, message] of limits) {
    it(`distinguish ${taken.split('\n').slice(3).join(' | ')} from ${wrong.split('\n').slice(3).join(' | ')}`, () => {
      expect(() => read(taken)).not.to.throw();
      expect(refusal(wrong)).to.contain(message);
    });
  }

  for (const [text, field] of [
    [webService('storage: { volumes: { v: { path: /v, efs: { uid: 0, gid: 0 } } } }'), 'storage.volumes.v.efs: uid'],
    [mount('source_volume: w, path: /m'), 'sidecars.s.mount_points[0]: no volume'],
    [webService('sidecars: { s: { image: x, depends_on: { t: start } } }'), 'sidecars.s.depends_on: there is no'],
    [worker('subscribe: { topics: [{ service: api }] }'), 'subscribe.topics[0]: the name'],
  ] as const) {
    it(`name the field that breaks them: ${field}`, () => {
      expect(refusal(text)).to.contain(`: ${field}`);
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
