import { expect } from 'chai';
import { DEFAULT_THRESHOLDS, type Reading } from '../../functions/decide.ts';
import { type Cloud, type Service, scale, type TrackedMetric } from '../../functions/scale.ts';
import type { Metric, Settings } from '../../functions/settings.ts';

const LAST_CHANGE_TAG = 'last-change';
const NOW = new Date('2026-03-01T12:00:20.000Z');
const metric = (name: string): Metric => ({ namespace: 'Test', name, statistic: 'Average', dimensions: {} });
const SETTINGS: Settings<Metric> = {
  cluster: 'cluster',
  servicePrefix: 'shop-test-worker-Service-',
  metrics: { waiting: metric('waiting'), executing: metric('executing') },
  thresholds: DEFAULT_THRESHOLDS,
  minuteSeconds: 60,
};
const SERVICE: Service = {
  arn: 'arn:aws:ecs:us-west-2:123456789012:service/cluster/shop-test-worker-Service-abc',
  name: 'shop-test-worker-Service-abc',
  status: 'ACTIVE',
  desired: 2,
  running: 2,
  tags: {},
};
const fresh = (value: number): Reading => ({ value, ageMilliseconds: 20_000 });
const BUSY = { waiting: fresh(40), executing: fresh(10) };

interface World {
  services: Service[];
  bounds: { min: number; max: number } | undefined;
  tracked: TrackedMetric<Metric>[];
  readings: Record<string, Reading>;
  update: () => void;
}

/** AWS as far as the scaler sees it; `calls` has what changed something, in order. */
function fake(world: Partial<World> = {}) {
  const { services = [SERVICE], bounds = { min: 1, max: 4 }, readings = BUSY, tracked = [], update = () => {} } = world;
  const calls: string[] = [];
  const asked: string[][] = [];
  const cloud: Cloud<Metric> = {
    lastChangeTag: LAST_CHANGE_TAG,
    findServices: async (cluster, prefix) => {
      expect([cluster, prefix]).to.deep.equal(['cluster', SETTINGS.servicePrefix]);
      return services;
    },
    bounds: async () => ('bounds' in world ? world.bounds : bounds),
    tracked: async () => tracked,
    read: async (metrics) => {
      asked.push(Object.keys(metrics));
      return readings;
    },
    tag: async (arn, key, value) => {
      calls.push(`tag ${arn.slice(arn.lastIndexOf('/') + 1)} ${key}=${value}`);
    },
    setDesired: async (cluster, service, desired) => {
      calls.push(`desired ${cluster} ${service} ${desired}`);
      update();
    },
  };
  return { cloud, calls, asked };
}

const tagged = (time: string): Service => ({ ...SERVICE, tags: { [LAST_CHANGE_TAG]: time } });
const TAG = `tag ${SERVICE.name} ${LAST_CHANGE_TAG}=2026-03-01T12:00:20.000Z`;

describe('scale', () => {
  it('tags the service with the time, and then changes its desired count', async () => {
    const { cloud, calls } = fake();
    const outcome = await scale(cloud, SETTINGS, NOW);
    expect(calls).to.deep.equal([TAG, `desired cluster ${SERVICE.name} 3`]);
    expect(outcome).to.deep.include({
      service: SERVICE.name,
      changed: true,
      reason: '4 waiting per executing, above 3',
    });
  });

  it('reports which of the indicators that the settings name have no value', async () => {
    const one = await scale(fake({ readings: { waiting: fresh(1) } }).cloud, SETTINGS, NOW);
    expect(one.absent).to.deep.equal({ executing: metric('executing') });
    const unnamed = { ...SETTINGS, metrics: { responseSeconds: metric('response') } };
    expect((await scale(fake({ readings: {} }).cloud, unnamed, NOW)).absent).to.deep.equal({});
    expect((await scale(fake().cloud, SETTINGS, NOW)).absent).to.deep.equal({});
  });

  it('reports everything that it read', async () => {
    const { seen } = await scale(fake().cloud, SETTINGS, NOW);
    expect(seen).to.deep.equal({
      ...BUSY,
      responseMilliseconds: undefined,
      databasePercent: 'none',
      databaseMilliseconds: 'none',
      tracked: [],
      desired: 2,
      running: 2,
      min: 1,
      max: 4,
      sinceChangeMilliseconds: undefined,
    });
  });

  it('changes nothing if the decision is to keep the count', async () => {
    const { cloud, calls } = fake({ readings: { waiting: fresh(20), executing: fresh(10) } });
    expect((await scale(cloud, SETTINGS, NOW)).changed).to.equal(false);
    expect(calls).to.deep.equal([]);
  });

  it('waits for the cooldown since the time in the tag', async () => {
    const early = fake({ services: [tagged('2026-03-01T11:59:51.000Z')] });
    expect((await scale(early.cloud, SETTINGS, NOW)).reason).to.include('cooldown: the last change was 29 s ago');
    expect(early.calls).to.deep.equal([]);
    const late = fake({ services: [tagged('2026-03-01T11:59:50.000Z')] });
    expect((await scale(late.cloud, SETTINGS, NOW)).changed).to.equal(true);
  });

  for (const time of ['2027-01-01T00:00:00.000Z', 'soon']) {
    it(`replaces a last change of "${time}", so that it prevents one cooldown of changes and not all`, async () => {
      const { cloud, calls } = fake({ services: [tagged(time)] });
      expect((await scale(cloud, SETTINGS, NOW)).changed).to.equal(false);
      expect(calls).to.deep.equal([TAG]);
    });
  }

  it('starts the cooldown even if AWS refuses the change', async () => {
    const { cloud, calls } = fake({
      update: () => {
        throw new Error('ThrottlingException');
      },
    });
    const error = await scale(cloud, SETTINGS, NOW).catch((reason: unknown) => reason);
    expect(error).to.have.property('message', 'ThrottlingException');
    expect(calls[0]).to.equal(TAG);
  });

  it('reads the response time in seconds', async () => {
    const settings = { ...SETTINGS, metrics: { responseSeconds: metric('TargetResponseTime') } };
    const { cloud, asked } = fake({ readings: { responseSeconds: fresh(0.6) } });
    expect((await scale(cloud, settings, NOW)).reason).to.equal('p99 is 600 ms, above 500');
    expect(asked).to.deep.equal([['responseSeconds']]);
  });

  it('adds no task when the metric of the database has no value', async () => {
    const settings = { ...SETTINGS, metrics: { ...SETTINGS.metrics, databasePercent: metric('CPUUtilization') } };
    const { cloud, calls } = fake();
    expect((await scale(cloud, settings, NOW)).reason).to.include(
      'the load of the database is unknown: its readings are absent',
    );
    expect(calls).to.deep.equal([]);
  });

  const CALM = { waiting: fresh(0), executing: fresh(10) };
  const cpu = { name: 'CPUUtilization', metric: metric('CPUUtilization'), target: 70, reading: undefined };
  const requests = { ...cpu, name: 'Requests', target: 30_000, reading: { value: 0, ageMilliseconds: 0 } };

  it('removes no task that target tracking would add again', async () => {
    const { cloud, calls } = fake({ tracked: [cpu], readings: { ...CALM, tracked0: fresh(40) } });
    expect((await scale(cloud, SETTINGS, NOW)).reason).to.include('CPUUtilization would rise from 40 to 80 per task');
    expect(calls).to.deep.equal([]);
  });

  it('takes the given reading of a tracked metric without a value, and does nothing without one', async () => {
    const noRequests = fake({ tracked: [cpu, requests], readings: { ...CALM, tracked0: fresh(1) } });
    expect((await scale(noRequests.cloud, SETTINGS, NOW)).changed).to.equal(true);
    const noCpu = fake({ tracked: [cpu, requests], readings: { ...CALM, tracked1: fresh(1) } });
    expect((await scale(noCpu.cloud, SETTINGS, NOW)).reason).to.include('the reading of CPUUtilization is absent');
  });

  it('does nothing if the service is deleted or being deleted', async () => {
    for (const services of [[], [{ ...SERVICE, status: 'DRAINING' }], [{ ...SERVICE, status: 'INACTIVE' }]]) {
      const { cloud, calls } = fake({ services });
      expect((await scale(cloud, SETTINGS, NOW)).reason).to.include('no active service in cluster');
      expect(calls).to.deep.equal([]);
    }
  });

  it('ignores a deleted service of the same name', async () => {
    const { cloud } = fake({ services: [{ ...SERVICE, status: 'INACTIVE' }, SERVICE] });
    expect((await scale(cloud, SETTINGS, NOW)).changed).to.equal(true);
  });

  it('does nothing if the count of the service is fixed', async () => {
    const { cloud, calls } = fake({ bounds: undefined });
    expect((await scale(cloud, SETTINGS, NOW)).reason).to.include('no scalable target');
    expect(calls).to.deep.equal([]);
  });

  it('rejects a prefix that two services have', async () => {
    const { cloud, calls } = fake({ services: [SERVICE, { ...SERVICE, name: 'shop-test-worker-Service-b' }] });
    const error = await scale(cloud, SETTINGS, NOW).catch((reason: unknown) => reason);
    expect(error)
      .to.have.property('message')
      .that.matches(/^SCALER_SERVICE_PREFIX: .* make it longer/);
    expect(calls).to.deep.equal([]);
  });
});
