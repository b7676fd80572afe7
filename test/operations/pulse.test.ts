import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { mock } from 'node:test';
import { expect } from 'chai';
import { pino } from 'pino';
import type { PulseSettings } from '../../src/config.ts';
import type { StoreStatistics } from '../../src/database/store.ts';
import { startPulse } from '../../src/operations/pulse.ts';
import { idle } from '../idle.ts';

const DIMENSIONS = { Application: 'plusone', Environment: 'test', Service: 'plusone' };

describe('the pulse', () => {
  let now: StoreStatistics;
  let durations: RecordableHistogram;
  let lines: Record<string, unknown>[];
  let stop: () => void;

  beforeEach(() => {
    mock.timers.enable({ apis: ['setInterval', 'Date'], now: 1_700_000_000_000 });
    now = idle;
    durations = createHistogram();
    lines = [];
  });
  afterEach(() => {
    stop();
    mock.timers.reset();
  });

  function start(settings: Partial<PulseSettings> = {}, level = 'info'): void {
    const log = pino({ level, base: null }, { write: (line) => lines.push(JSON.parse(line)) });
    stop = startPulse({ seconds: 60, dimensions: DIMENSIONS, ...settings }, () => now, durations, log);
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

  function pulseAt(utilization: number): void {
    const loop = mock.method(performance, 'eventLoopUtilization', () => ({ idle: 1, active: 1, utilization }));
    mock.timers.tick(60_000);
    loop.mock.restore();
  }

  it('has the p99 of the statements since the last line, which many fast ones do not hide', () => {
    start();
    durations.record(2_000);
    pulseAt(0);
    for (let i = 0; i < 98; i++) durations.record(1);
    for (let i = 0; i < 2; i++) durations.record(600);
    pulseAt(0);
    pulseAt(0);
    expect(lines.map((line) => line.DatabaseMilliseconds)).to.deep.equal([2_000, 600, 0]);
  });

  it('does not count the time in which the process itself was busy', () => {
    start();
    durations.record(300);
    pulseAt(0.9);
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
