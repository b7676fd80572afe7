import { expect } from 'chai';
import { DEFAULT_THRESHOLDS } from '../../functions/decide.ts';
import { readSettings, SettingsError } from '../../functions/settings.ts';

const waiting = { namespace: 'AWS/SQS', name: 'Visible', statistic: 'Average', dimensions: { QueueName: 'jobs' } };
const executing = { ...waiting, name: 'NotVisible' };
const COMPLETE = {
  SCALER_CLUSTER: 'cluster',
  SCALER_SERVICE_PREFIX: 'shop-test-worker-Service-',
  SCALER_METRICS: JSON.stringify({ waiting, executing }),
};

function refusal(environment: Record<string, string>): string {
  try {
    readSettings(environment);
  } catch (error) {
    if (error instanceof SettingsError) return error.message;
    throw error;
  }
  return 'accepted';
}

describe('readSettings', () => {
  it('reads all settings, with the default thresholds', () => {
    expect(readSettings(COMPLETE)).to.deep.equal({
      cluster: 'cluster',
      servicePrefix: 'shop-test-worker-Service-',
      metrics: { waiting, executing },
      thresholds: DEFAULT_THRESHOLDS,
      minuteSeconds: 60,
    });
  });

  it('uses the given thresholds, and the defaults of the others', () => {
    const { thresholds } = readSettings({
      ...COMPLETE,
      SCALER_THRESHOLDS: '{"waitingPerExecuting": {"out": 10}, "databasePercent": 60}',
    });
    expect(thresholds).to.deep.equal({
      ...DEFAULT_THRESHOLDS,
      waitingPerExecuting: { out: 10, in: 1 },
      databasePercent: 60,
    });
  });

  it('shortens times like the minute of an emulator', () => {
    const { thresholds, minuteSeconds } = readSettings({ ...COMPLETE, SCALER_MINUTE_SECONDS: '15' });
    expect(minuteSeconds).to.equal(15);
    expect(thresholds).to.deep.equal({
      ...DEFAULT_THRESHOLDS,
      cooldownMilliseconds: { out: 7_500, in: 30_000 },
      maximumAgeMilliseconds: 45_000,
    });
    expect(refusal({ ...COMPLETE, SCALER_MINUTE_SECONDS: '0' })).to.match(/^SCALER_MINUTE_SECONDS: /);
  });

  it('names each variable that is missing', () => {
    const lines = refusal({}).split('\n');
    expect(lines.map((line) => line.replace(/:.*/, ''))).to.deep.equal([
      'SCALER_CLUSTER',
      'SCALER_SERVICE_PREFIX',
      'SCALER_METRICS',
    ]);
  });

  const invalid: [title: string, environment: Record<string, string>, message: string][] = [
    ['what is not JSON', { SCALER_METRICS: 'waiting' }, 'SCALER_METRICS: not valid JSON'],
    ['waiting without executing', { SCALER_METRICS: JSON.stringify({ waiting }) }, 'waiting and executing go together'],
    ['no indicator at all', { SCALER_METRICS: '{}' }, 'set waiting and executing, or responseSeconds'],
    ['an unknown metric', { SCALER_METRICS: JSON.stringify({ waiting, executing, cpu: waiting }) }, 'SCALER_METRICS'],
    [
      'a statistic that does not exist',
      { SCALER_METRICS: JSON.stringify({ responseSeconds: { ...waiting, statistic: 'p 99' } }) },
      'SCALER_METRICS.responseSeconds.statistic: expected Average, Sum, Minimum, Maximum or a percentile such as p99',
    ],
    [
      'a threshold for in that is not below the one for out',
      { SCALER_THRESHOLDS: '{"responseMilliseconds": {"in": 500}}' },
      'SCALER_THRESHOLDS.responseMilliseconds: in must be below out',
    ],
    ['an unknown threshold', { SCALER_THRESHOLDS: '{"cooldown": 5}' }, 'SCALER_THRESHOLDS'],
    ['a negative cooldown', { SCALER_THRESHOLDS: '{"cooldownMilliseconds": {"out": -1}}' }, '.out'],
  ];
  for (const [title, environment, message] of invalid) {
    it(`rejects ${title}`, () => {
      expect(refusal({ ...COMPLETE, ...environment })).to.include(message);
    });
  }
});
