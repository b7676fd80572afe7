import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { DEFAULT_THRESHOLDS } from '../../functions/decide.ts';
import { kubernetesCloud, quantity } from '../../functions/kubernetes.ts';
import { oneAtATime, startPodScaler } from '../../functions/pod-scaler.ts';
import { scale } from '../../functions/scale.ts';
import { type PodSettings, readPodSettings, SettingsError } from '../../functions/settings.ts';
import { freePort } from '../../tools/process/free-port.ts';
import { calm, type StandIn, standIn } from './kubernetes.ts';

const BUSY = '4 waiting per executing, above 3';

describe('the scaler in Kubernetes', () => {
  let world: StandIn;
  let settings: PodSettings;

  before(async () => {
    world = await standIn();
  });

  beforeEach(() => {
    Object.assign(world.state, calm());
    world.patches.length = 0;
    world.queries.length = 0;
    settings = {
      cluster: 'shop',
      servicePrefix: 'web',
      metrics: { waiting: 'waiting', executing: 'executing' },
      thresholds: DEFAULT_THRESHOLDS,
      minuteSeconds: 60,
      prometheus: world.url,
      tracked: { requests: 'requests', responseSeconds: 'response' },
      kubernetes: world.url,
      tokenFile: world.tokenFile,
      port: 1,
    };
  });

  after(() => world.stop());

  const run = (now = new Date()) => scale(kubernetesCloud(settings), settings, now);
  const refusal = () => run().then(String, ({ message }: Error) => message);
  const hpa = () => world.state.hpa ?? calm().hpa ?? expect.fail();
  const annotate = (annotations: Record<string, string>) => {
    hpa().metadata.annotations = annotations;
  };

  describe('the autoscaler', () => {
    it('gets a higher lower bound, with its old one and the time as annotations', async () => {
      const now = new Date();
      expect(await run(now)).to.deep.include({ service: 'web', changed: true, reason: BUSY });
      expect(hpa().spec.minReplicas).to.equal(3);
      expect(hpa().metadata.annotations).to.deep.equal({
        'scaler/last-change': now.toISOString(),
        'scaler/minimum': '1',
        'scaler/desired': '3',
      });
    });

    it('has bounds from the lower bound that others set to its maximum', async () => {
      hpa().spec.minReplicas = 3;
      annotate({ 'scaler/minimum': '1', 'scaler/desired': '3' });
      expect((await run()).seen).to.include({ desired: 3, running: 2, min: 1, max: 4 });
    });

    it('is not changed again within the cooldown', async () => {
      annotate({ 'scaler/last-change': new Date(Date.now() - 5_000).toISOString() });
      expect((await run()).reason).to.include('cooldown: the last change was 5');
      expect(world.patches).to.deep.equal([]);
    });

    it('gets back the lower bound of the scaler after a release set it to that of the manifest', async () => {
      world.state.metrics = { waiting: [[[0, '20']]], executing: [[[0, '10']]] };
      annotate({ 'scaler/minimum': '1', 'scaler/desired': '3' });
      hpa().spec.minReplicas = 2;
      expect((await run()).seen).to.include({ desired: 3, min: 2 });
      expect(hpa().spec.minReplicas).to.equal(3);
      expect(hpa().metadata.annotations).to.include({ 'scaler/minimum': '2', 'scaler/desired': '3' });
    });

    it('keeps a higher lower bound of the schedule, below which no pod is removed', async () => {
      world.state.metrics = { waiting: [[[0, '0']]], executing: [[[0, '10']]] };
      annotate({ 'scaler/minimum': '1', 'scaler/desired': '2' });
      hpa().spec.minReplicas = 3;
      world.state.deployment = { spec: { replicas: 3 }, status: { readyReplicas: 3 } };
      expect((await run()).reason).to.include('already at the minimum of 3');
      expect(hpa().spec.minReplicas).to.equal(3);
    });

    it('keeps a lower bound of the schedule or the manifest that equals that of the scaler', async () => {
      world.state.metrics = { waiting: [[[0, '0']]], executing: [[[0, '10']]] };
      // As the job of the schedule patches it, and as a release applies it.
      annotate({ 'scaler/minimum': '3', 'scaler/desired': '3' });
      hpa().spec.minReplicas = 3;
      expect((await run()).seen).to.include({ min: 3 });
    });

    it('is never given a lower bound above its maximum', async () => {
      annotate({ 'scaler/desired': '9' });
      expect((await run()).seen).to.include({ desired: 4, max: 4 });
    });

    for (const odd of ['', '-1', '1e9', 'many', '99']) {
      it(`counts by its lower bound if the annotation says "${odd}"`, async () => {
        hpa().spec.minReplicas = 2;
        annotate({ 'scaler/minimum': odd, 'scaler/desired': '2' });
        expect((await run()).seen).to.include({ desired: 2, min: 2 });
      });
    }

    it('keeps the pods that its own metrics want: none is removed, and the next one is added to them', async () => {
      hpa().status.desiredReplicas = 3;
      world.state.deployment = { spec: { replicas: 3 }, status: { readyReplicas: 3 } };
      await run();
      expect(hpa().spec.minReplicas).to.equal(4);
      Object.assign(world.state, calm());
      hpa().status.desiredReplicas = 3;
      world.state.deployment = { spec: { replicas: 3 }, status: { readyReplicas: 3 } };
      world.state.metrics = { waiting: [[[0, '0']]], executing: [[[0, '10']]] };
      expect((await run()).reason).to.include('the autoscaler itself still keeps 3');
      expect(hpa().spec.minReplicas).to.equal(1);
    });

    it('gets a pod above a target of the manifest that no autoscaler measures, and keeps one that would exceed it', async () => {
      const queue: typeof world.state.metrics = { waiting: [[[0, '0']]], executing: [[[0, '10']]] };
      world.state.metrics = { ...queue, requests: [[[0, '30001']]], response: [[[0, '0.1']]] };
      annotate({ 'scaler/requests': '30000', 'scaler/response-seconds': '0.5' });
      expect(await run()).to.include({
        changed: true,
        reason: 'requests a minute and task: 30001, above the target of 30000',
      });
      expect(hpa().spec.minReplicas).to.equal(3);

      Object.assign(world.state, calm());
      hpa().spec.minReplicas = 2;
      annotate({ 'scaler/requests': '30000', 'scaler/minimum': '1', 'scaler/desired': '2' });
      world.state.metrics = { ...queue, requests: [[[0, '20000']]] };
      expect((await run()).reason).to.include('requests a minute and task would rise from 20000 to 40000 per task');
    });

    for (const odd of ['', '0', '-1', '1e3', 'NaN', 'Infinity', 'many', '30000 ']) {
      it(`fails the run, and names the annotation, if a target is "${odd}"`, async () => {
        for (const annotation of ['scaler/requests', 'scaler/response-seconds']) {
          annotate({ [annotation]: odd });
          expect(await refusal()).to.equal(`the annotation ${annotation} is "${odd}"; it must be a number above 0`);
          expect(world.patches).to.deep.equal([]);
        }
      });
    }

    it('does not ask for what the manifest has no target for', async () => {
      await run();
      expect(world.queries.join()).to.not.include('requests');
    });

    const cpu = (averageValue: string) => ({ type: 'Resource', resource: { name: 'cpu', current: { averageValue } } });
    it('keeps a pod whose removal would bring it back by CPU, and one whose CPU is unknown', async () => {
      world.state.metrics = { waiting: [[[0, '0']]], executing: [[[0, '10']]] };
      hpa().spec.minReplicas = 2;
      annotate({ 'scaler/minimum': '1', 'scaler/desired': '2' });
      hpa().spec.metrics = [{ resource: { name: 'cpu', target: { type: 'AverageValue', averageValue: '700m' } } }];
      hpa().status.currentMetrics = [cpu('400m')];
      expect((await run()).reason).to.include('the reading of cpu (cores) is absent');
      hpa().status.conditions = [{ type: 'ScalingActive', status: 'True' }];
      expect((await run()).reason).to.include('cpu (cores) would rise from 0.4 to 0.8 per task');
      hpa().status.currentMetrics = [cpu('40m')];
      expect((await run()).changed).to.equal(true);
      expect(hpa().spec.minReplicas).to.equal(1);
    });

    it('is compared in percent if its target is one', async () => {
      world.state.metrics = { waiting: [[[0, '0']]], executing: [[[0, '10']]] };
      hpa().spec.minReplicas = 2;
      annotate({ 'scaler/minimum': '1', 'scaler/desired': '2' });
      hpa().spec.metrics = [{ resource: { name: 'memory', target: { averageUtilization: 60 } } }];
      hpa().status.currentMetrics = [{ resource: { name: 'memory', current: { averageUtilization: 50 } } }];
      hpa().status.conditions = [{ type: 'ScalingActive', status: 'True' }];
      expect((await run()).reason).to.include('memory (%) would rise from 50 to 100');
    });

    it('is left alone when there is none, when it is deleted, and when it has no pods to scale', async () => {
      const { hpa: there, deployment } = calm();
      const away = {
        hpa: there && { ...there, metadata: { ...there.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } },
      };
      for (const state of [{ hpa: undefined, deployment }, away, { hpa: there, deployment: undefined }]) {
        Object.assign(world.state, state);
        expect((await run()).reason).to.include('no active service in shop');
      }
      expect(world.patches).to.deep.equal([]);
    });

    it('is left alone when the minimum is the maximum, and when somebody stopped the service', async () => {
      Object.assign(hpa().spec, { minReplicas: 2, maxReplicas: 2 });
      expect((await run()).reason).to.include('min and max are both 2');
      Object.assign(world.state, calm(), { deployment: { spec: { replicas: 0 }, status: {} } });
      expect((await run()).reason).to.include('desired 0 was set outside of 1 to 4 by someone else');
    });

    for (const status of [401, 403, 404, 500]) {
      it(`fails the run when the API server refuses a change with ${status}`, async () => {
        world.state.refusals = [status];
        expect(await refusal()).to.include(`answered ${status}`);
        expect(hpa().spec.minReplicas).to.equal(1);
      });
    }

    it('fails the run when the API server does not answer', async () => {
      world.state.down = 503;
      expect(await refusal())
        .to.include('answered 503')
        .and.include('the API server is down');
      settings = { ...settings, kubernetes: 'http://127.0.0.1:1' };
      expect(await refusal()).to.include('the API server cannot be reached at http://127.0.0.1:1: fetch failed');
    });

    it('keeps a change that others make during a run', async () => {
      const cloud = kubernetesCloud(settings);
      await cloud.findServices('shop', 'web');
      world.change(4);
      const error = await cloud.setDesired('shop', 'web', 2).catch((reason: unknown) => reason);
      expect(error).to.include({ status: 409 });
      expect(hpa().spec.minReplicas).to.equal(4);
    });
  });

  describe('a query of Prometheus', () => {
    const seen = async () => (await run()).seen;

    it('is for the last ten minutes, with the length of a minute, and without old samples', async () => {
      settings = { ...settings, metrics: { responseSeconds: 'rate(x[MINUTE])' }, minuteSeconds: 15 };
      await run();
      const [asked] = world.queries;
      expect(asked?.get('query')).to.equal('rate(x[15s])');
      expect(Number(asked?.get('end')) - Number(asked?.get('start'))).to.be.closeTo(150, 1);
      expect([asked?.get('step'), asked?.get('lookback_delta')]).to.deep.equal(['3.75', '15s']);
    });

    it('gives its newest value that is a number, and how old it is', async () => {
      world.state.metrics.waiting = [
        [
          [60, '7'],
          [30, '8'],
          [0, 'NaN'],
        ],
      ];
      expect((await seen())?.waiting?.value).to.equal(8);
      expect((await seen())?.waiting?.ageMilliseconds).to.be.within(30_000, 31_000);
    });

    it('without a result is absent, an old result is stale, and infinity is invalid', async () => {
      world.state.metrics.executing = [];
      expect((await run()).reason).to.equal('no change: the reading of executing is absent');
      world.state.metrics.executing = [[[0, 'NaN']]];
      expect((await run()).reason).to.equal('no change: the reading of executing is absent');
      world.state.metrics.executing = [[[200, '1']]];
      expect((await run()).reason).to.equal('no change: the reading of executing is stale');
      world.state.metrics.executing = [[[0, '+Inf']]];
      expect((await run()).reason).to.include('invalid reading of executing: Infinity');
      expect(world.patches).to.deep.equal([]);
    });

    it('of the response time may have no value, as without requests', async () => {
      settings = { ...settings, metrics: { ...settings.metrics, responseSeconds: 'p99' } };
      world.state.metrics.p99 = [[[0, 'NaN']]];
      expect((await run()).reason).to.equal(BUSY);
    });

    it('with more than one series fails the run, and names the setting', async () => {
      world.state.metrics.waiting = [[[0, '1']], [[0, '2']]];
      expect(await refusal()).to.equal(
        'SCALER_METRICS.waiting: the query has 2 series; make it one, with sum() or max()',
      );
    });

    it('fails the run when something else than Prometheus answers', async () => {
      for (const body of ['<html>Log in', '', '{}', '{"data":{"resultType":"vector","result":[]}}', 'null']) {
        const other = createServer((_, response) => response.end(body)).listen(0, '127.0.0.1');
        await once(other, 'listening');
        const { port } = other.address() as AddressInfo;
        settings = { ...settings, prometheus: `http://127.0.0.1:${port}` };
        const said = await refusal();
        other.close();
        other.closeAllConnections();
        expect(said).to.equal(`what answers at http://127.0.0.1:${port} is no Prometheus: ${body}`);
      }
      expect(world.patches).to.deep.equal([]);
    });

    it('fails the run when Prometheus refuses it, or is not there', async () => {
      world.state.metrics.waiting = 400;
      expect(await refusal())
        .to.include('Prometheus answers 400 to waiting')
        .and.include('parse error');
      settings = { ...settings, prometheus: 'http://127.0.0.1:1' };
      expect(await refusal()).to.include('Prometheus cannot be reached at http://127.0.0.1:1: fetch failed');
      expect(world.patches).to.deep.equal([]);
    });
  });

  describe('the pod', () => {
    let stop: (() => void) | undefined;
    let lines: { level: string; reason?: string; changed?: boolean; msg?: string }[] = [];
    const url = (path: string) => `http://127.0.0.1:${settings.port}${path}`;
    const text = async (path: string) => (await fetch(url(path))).text();

    async function start(): Promise<void> {
      settings = { ...settings, port: await freePort() };
      lines = [];
      stop = startPodScaler(settings, (line) => lines.push(JSON.parse(line)));
      await until(() => lines.length > 0);
    }
    async function until(holds: () => boolean): Promise<void> {
      for (const end = Date.now() + 3_000; !holds(); await sleep(10)) {
        if (Date.now() > end) throw new Error(JSON.stringify(lines));
      }
    }

    afterEach(() => stop?.());

    it('runs at its start, and logs what it saw and did', async () => {
      await start();
      expect(lines[0]).to.deep.include({ level: 'info', service: 'web', changed: true, reason: BUSY });
      expect(lines[0]).to.have.nested.property('seen.desired', 2);
    });

    it('has metrics of its readings and of the result', async () => {
      await start();
      expect((await text('/metrics')).split('\n')).to.include.members([
        'scaler_failed 0',
        'scaler_at_maximum 0',
        'scaler_desired 3',
        'scaler_running 2',
        'scaler_min 1',
        'scaler_max 4',
        'scaler_waiting 40',
        'scaler_executing 10',
        'scaler_response_milliseconds Nan',
      ]);
    });

    it('shows a run that failed, and keeps running', async () => {
      world.state.refusals = [403];
      await start();
      expect(lines[0]?.level).to.equal('error');
      expect(lines[0]?.reason).to.match(/^the run failed: KubernetesError: .* answered 403/);
      expect(await text('/metrics')).to.include('scaler_failed 1');
      await fetch(url('/scale'), { method: 'POST' });
      await until(() => lines.length > 1);
      expect(await text('/metrics')).to.include('scaler_failed 0');
    });

    it('says once that the autoscaler cannot be watched, not each time that it tries', async () => {
      world.state.down = 503;
      await start();
      await sleep(2_500);
      const said = lines.filter(({ msg }) => msg?.startsWith('the autoscaler cannot be watched: '));
      expect(said).to.have.lengthOf(1);
    });

    it('runs for a webhook of Alertmanager, and for nothing else', async () => {
      world.state.metrics = { waiting: [[[0, '20']]], executing: [[[0, '10']]] };
      await start();
      const body = JSON.stringify({ status: 'firing', alerts: [] });
      expect((await fetch(url('/scale'), { method: 'POST', body })).status).to.equal(202);
      await until(() => lines.length === 2);
      expect((await fetch(url('/scale'))).status).to.equal(404);
      expect((await fetch(url('/'), { method: 'POST' })).status).to.equal(404);
      expect((await fetch(url('/healthz'))).status).to.equal(200);
      expect(lines).to.have.lengthOf(2);
    });

    it('runs again at once when the autoscaler was changed during the run', async () => {
      world.state.refusals = [409, 409];
      await start();
      expect(lines).to.have.lengthOf(1);
      expect(lines[0]).to.include({ changed: true });
    });

    it('restores the lower bound as soon as a release has set it to that of the manifest', async () => {
      await start();
      world.state.metrics = { waiting: [[[0, '20']]], executing: [[[0, '10']]] };
      await sleep(50);
      world.change(1);
      await until(() => hpa().spec.minReplicas === 3);
    });
  });

  it('makes one run at a time, and one more for all calls during it', async () => {
    let runs = 0;
    let most = 0;
    let running = 0;
    const request = oneAtATime(async () => {
      running += 1;
      most = Math.max(most, running);
      await sleep(20);
      running -= 1;
      runs += 1;
    }, 0);
    const until = async (count: number) => {
      while (runs < count) await sleep(10);
      // One more would have begun.
      await sleep(50);
    };
    for (let calls = 0; calls < 5; calls += 1) request();
    await until(2);
    expect([runs, most]).to.deep.equal([2, 1]);
    request();
    await until(3);
    expect(runs).to.equal(3);
  });
});

it('pauses between runs, however often it is called', async () => {
  let runs = 0;
  const request = oneAtATime(async () => {
    runs += 1;
  }, 200);
  for (const end = Date.now() + 300; Date.now() < end; await sleep(1)) request();
  expect(runs).to.equal(2);
});

describe('a quantity of Kubernetes', () => {
  it('is a number with a suffix', () => {
    for (const [text, value] of [
      ['700m', 0.7],
      ['2', 2],
      ['1.5', 1.5],
      ['128Mi', 134_217_728],
      ['1k', 1000],
      ['5n', 5e-9],
    ] as const) {
      expect(quantity(text), text).to.be.closeTo(value, value / 1e9);
    }
    for (const text of ['', 'm', '1x', '-1', '1 m']) expect(quantity(text), text).to.equal(undefined);
  });
});

describe('readPodSettings', () => {
  const COMPLETE = {
    SCALER_NAMESPACE: 'shop',
    SCALER_AUTOSCALER: 'web',
    SCALER_METRICS: '{"waiting": "sum(a)", "executing": "sum(b)"}',
    PROMETHEUS_URL: 'http://prometheus:9090/',
  };
  const messages = (environment: Record<string, string>) => {
    try {
      readPodSettings(environment);
    } catch (error) {
      if (error instanceof SettingsError) return error.message;
    }
    return 'accepted';
  };

  it('reads all settings, with the addresses and files of a pod as defaults', () => {
    expect(readPodSettings(COMPLETE)).to.deep.equal({
      cluster: 'shop',
      servicePrefix: 'web',
      metrics: { waiting: 'sum(a)', executing: 'sum(b)' },
      thresholds: DEFAULT_THRESHOLDS,
      minuteSeconds: 60,
      tracked: {},
      prometheus: 'http://prometheus:9090',
      kubernetes: 'https://kubernetes.default.svc',
      tokenFile: '/var/run/secrets/kubernetes.io/serviceaccount/token',
      port: 8080,
    });
  });

  it('names what is missing or invalid', () => {
    expect(
      messages({})
        .split('\n')
        .map((line) => line.replace(/:.*/, '')),
    ).to.deep.equal(['SCALER_NAMESPACE', 'SCALER_AUTOSCALER', 'SCALER_METRICS', 'PROMETHEUS_URL']);
    expect(messages({ ...COMPLETE, SCALER_METRICS: '{"waiting": "sum(a)"}' })).to.include(
      'waiting and executing go together',
    );
    expect(messages({ ...COMPLETE, SCALER_METRICS: '{"waiting": "", "executing": "b"}' })).to.include(
      'SCALER_METRICS.waiting',
    );
    expect(messages({ ...COMPLETE, PROMETHEUS_URL: 'prometheus' })).to.match(/^PROMETHEUS_URL: /);
    for (const name of ['PROMETHEUS_URL', 'KUBERNETES_URL']) {
      expect(messages({ ...COMPLETE, [name]: 'https://me:pass-word@host' })).to.equal(
        `${name}: must have no user and no password`,
      );
    }
  });
});
