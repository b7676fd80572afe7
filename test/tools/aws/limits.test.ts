import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { parseDocument } from 'yaml';
import { type Overrides, readOverrides } from '../../../manifest/cfn-patches.ts';
import { readTaskChanges } from '../../../manifest/task-overrides.ts';
import { broken, brokenScaler } from '../../../tools/aws/limits.ts';

const manifest = readFileSync('copilot/plusone/manifest.yml', 'utf8');
const overrides = readOverrides('copilot/plusone/overrides/cfn.patches.yml', 'cfn.patches.yml');

/** Overrides of the stop time-out of the service alone, in seconds. */
function stopping(stopTimeout: number): Pick<Overrides, 'task'> {
  const service = { environment: new Map(), ports: [], mounts: [], stopTimeout };
  return { task: { ...readTaskChanges([]), containers: new Map([[0, service]]) } };
}

/** What is broken in prod when the manifest says something else there. */
function brokenWith(changes: Readonly<Record<string, unknown>>, environment = 'prod'): string[] {
  const changed = parseDocument(manifest);
  for (const [path, value] of Object.entries(changes)) changed.setIn(path.split('.'), value);
  return broken(changed.toString(), overrides, { application: 'plusone', environment });
}

describe('the limits of AWS that Copilot does not check', () => {
  for (const environment of ['test', 'prod']) {
    it(`are met by the manifest in ${environment}`, () => {
      expect(brokenWith({}, environment)).to.deep.equal([]);
    });
  }

  it('name the sizes that Fargate has', () => {
    expect(brokenWith({ cpu: 513 })).to.deep.equal([
      'prod: cpu is 513; Fargate has 256, 512, 1024, 2048, 4096, 8192, 16384',
    ]);
  });

  it('name the memory sizes of a CPU size', () => {
    expect(brokenWith({ cpu: 256, memory: 4096 })).to.deep.equal([
      'prod: memory is 4096; Fargate has 512, 1024, 2048 with cpu 256',
    ]);
  });

  it('apply to the container health check', () => {
    expect(brokenWith({ 'image.healthcheck.retries': 11, 'image.healthcheck.timeout': '1s' })).to.deep.equal([
      'prod: image.healthcheck.timeout is 1; it must be from 2 to 60',
      'prod: image.healthcheck.retries is 11; it must be from 1 to 10',
    ]);
  });

  it("refuse a load balancer's health check that may take longer than its interval", () => {
    expect(brokenWith({ 'http.healthcheck.timeout': '5s' })).to.deep.equal([
      'prod: http.healthcheck.timeout is 5 s, which is not less than the interval of 5 s',
    ]);
  });

  it("accept a timeout of the load balancer's health check below AWS's default interval of 30 s", () => {
    const text = manifest.replace(/^ {4}interval: 5s\n/m, '');
    const found = (timeout: string) =>
      broken(text.replace(/^ {4}timeout: 3s$/m, `    timeout: ${timeout}`), stopping(30), {
        application: 'plusone',
        environment: 'prod',
      });
    expect(text).not.to.equal(manifest);
    expect(found('15s')).to.deep.equal([]);
    expect(found('30s')).to.deep.equal([
      'prod: http.healthcheck.timeout is 30 s, which is not less than the interval of 30 s',
    ]);
  });

  it('refuse a stop timeout that would kill a task before its grace period ends', () => {
    expect(broken(manifest, stopping(20), { application: 'plusone', environment: 'prod' })).to.deep.equal([
      'prod: StopTimeout is 20 s, and SHUTDOWN_GRACE_SECONDS is 25: ECS would kill a task that still answers',
    ]);
  });

  it('refuse a stop timeout that Fargate does not support', () => {
    expect(broken(manifest, stopping(121), { application: 'plusone', environment: 'prod' })).to.deep.equal([
      'prod: StopTimeout is 121; it must be from 2 to 120',
    ]);
  });
});

describe('the settings of the scaler in its template', () => {
  const template = readFileSync('copilot/plusone/addons/scaler.yml', 'utf8');
  const refused = (text: string) => brokenScaler(text, 'scaler.yml');

  it('are what it takes', () => {
    expect(refused(template)).to.deep.equal([]);
    expect(refused(template.replace('SCALER_METRICS: !Sub', 'SCALER_METRICS:\n            Fn::Sub:'))).to.deep.equal(
      [],
    );
  });

  it('are refused before a release, with variable and field', () => {
    expect(refused(template.replace('"p99"', '"mean"'))).to.deep.equal([
      'SCALER_METRICS.responseSeconds.statistic: expected Average, Sum, Minimum, Maximum or a percentile such as p99',
    ]);
    expect(refused(template.replace('"executing": {', '"exceuting": {')).join()).to.contain('"exceuting"');
    expect(refused(template.replace('"waiting": {', '"waiting" {')).join()).to.match(
      /^SCALER_METRICS: not valid JSON: .+ \(line 2 /,
    );
    const thresholds = `SCALER_THRESHOLDS: '{"waitingPerExecuting": {"out": 1, "in": 3}}'`;
    expect(refused(template.replace("SCALER_THRESHOLDS: '{}'", thresholds)).join()).to.contain('in must be below out');
  });

  it('are none in a template without a scaler', () => {
    expect(refused('Resources: {}')).to.deep.equal([]);
  });
});
