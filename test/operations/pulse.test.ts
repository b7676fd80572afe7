import { mock } from 'node:test';
import { expect } from 'chai';
import { pino } from 'pino';
import type { PulseSettings } from '../../src/config.ts';
import { type PulseStatistics, startPulse } from '../../src/operations/pulse.ts';
import { idle } from '../idle.ts';

const DIMENSIONS = { Application: 'plusone', Environment: 'test', Service: 'plusone' };

describe('the pulse', () => {
  let now: PulseStatistics;
  let lines: Record<string, unknown>[];
  let stop: () => void;

  beforeEach(() => {
    mock.timers.enable({ apis: ['setInterval', 'Date'], now: 1_700_000_000_000 });
    now = idle;
    lines = [];
  });
  afterEach(() => {
    stop();
    mock.timers.reset();
  });

  function start(settings: Partial<PulseSettings> = {}, level = 'info'): void {
    const log = pino({ level, base: null }, { write: (line) => lines.push(JSON.parse(line)) });
    stop = startPulse({ seconds: 60, dimensions: DIMENSIONS, ...settings }, () => now, log);
  }

  it('is one line each time, and none before', () => {
    start();
    mock.timers.tick(59_999);
    expect(lines).to.have.length(0);
    mock.timers.tick(1);
    expect(lines).to.have.length(1);
    mock.timers.tick(60_000);
    expect(lines).to.have.length(2);
  });

  it('is what CloudWatch makes metrics of', () => {
    start();
    mock.timers.tick(60_000);
    expect(lines[0]).to.deep.include({
      _aws: {
        Timestamp: 1_700_000_000_000,
        CloudWatchMetrics: [
          {
            Namespace: 'Plusone',
            Dimensions: [['Application', 'Environment', 'Service']],
            Metrics: [
              { Name: 'Waiting', Unit: 'Count' },
              { Name: 'Executing', Unit: 'Count' },
              { Name: 'DatabaseMilliseconds', Unit: 'Milliseconds' },
            ],
          },
        ],
      },
      ...DIMENSIONS,
      Waiting: 0,
      Executing: 0,
      DatabaseMilliseconds: 0,
    });
  });

  it('has the mean of what waited and of what was executing, not the last moment', () => {
    start({ seconds: 4 });
    now = { ...idle, reads: 10, writes: 6, executing: 4 };
    mock.timers.tick(2_000);
    now = idle;
    mock.timers.tick(2_000);
    expect(lines[0]).to.include({ Waiting: 6, Executing: 2 });
  });

  it('has the time at which each interval began', () => {
    start();
    mock.timers.tick(60_000);
    mock.timers.tick(60_000);
    expect(lines[1]).to.have.nested.property('_aws.Timestamp', 1_700_000_060_000);
  });

  it('begins a new mean after each line', () => {
    start({ seconds: 2 });
    now = { ...idle, reads: 10, executing: 4 };
    mock.timers.tick(2_000);
    now = idle;
    mock.timers.tick(2_000);
    expect(lines[1]).to.include({ Waiting: 0, Executing: 0 });
  });

  it('has the time of the statements since the last line, while the event loop is idle', () => {
    const idleLoop = { idle: 100, active: 0, utilization: 0 };
    const loop = mock.method(performance, 'eventLoopUtilization', () => idleLoop);
    now = { ...idle, statements: 1_000, statementSeconds: 1 };
    start();
    now = { ...idle, statements: 1_010, statementSeconds: 4 };
    mock.timers.tick(60_000);
    loop.mock.restore();
    expect(lines[0]).to.include({ DatabaseMilliseconds: 300 });
  });

  it('does not count the time in which the process itself was busy', () => {
    const busy = { idle: 10, active: 90, utilization: 0.9 };
    const loop = mock.method(performance, 'eventLoopUtilization', () => busy);
    start();
    now = { ...idle, statements: 10, statementSeconds: 3 };
    mock.timers.tick(60_000);
    loop.mock.restore();
    expect(lines[0]).to.include({ DatabaseMilliseconds: 30 });
  });

  it('is written when the log is limited to warnings', () => {
    start({}, 'warn');
    mock.timers.tick(60_000);
    expect(lines).to.have.length(1);
  });

  it('ends when it is told to', () => {
    start();
    stop();
    mock.timers.tick(120_000);
    expect(lines).to.have.length(0);
  });
});
