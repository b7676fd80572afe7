import { expect } from 'chai';
import fc from 'fast-check';
import { DEFAULT_THRESHOLDS, decide, type Observation, type Reading } from '../../functions/decide.ts';

const fresh = (value: number): Reading => ({ value, ageMilliseconds: 20_000 });

/** Idle in the middle of its bounds, with nothing that prevents a change. */
const CALM: Observation = {
  waiting: fresh(2),
  executing: fresh(1),
  responseMilliseconds: fresh(100),
  databasePercent: fresh(20),
  databaseMilliseconds: fresh(2),
  tracked: [],
  desired: 3,
  running: 3,
  min: 1,
  max: 5,
  sinceChangeMilliseconds: undefined,
};
const BUSY = { ...CALM, waiting: fresh(31), executing: fresh(10) };
const IDLE = { ...CALM, waiting: fresh(9), executing: fresh(10) };

/** The change of the desired count, with the reason for the message of a failed assertion. */
function step(seen: Observation) {
  return decide(seen).desired - seen.desired;
}

describe('decide', () => {
  it('adds a task above three waiting per executing', () => {
    expect(decide(BUSY)).to.deep.equal({
      desired: 4,
      indicated: 'out',
      reason: '3.1 waiting per executing, above 3',
      isAtMaximum: false,
    });
  });

  it('adds a task for a metric above its target only if the platform does not', () => {
    const requests = { name: 'requests', target: 100, reading: fresh(101) };
    expect(decide({ ...IDLE, tracked: [{ ...requests, isOurs: true }] })).to.include({
      desired: IDLE.desired + 1,
      reason: 'requests: 101, above the target of 100',
    });
    expect(step({ ...IDLE, tracked: [requests] })).to.not.equal(1);
    expect(step({ ...IDLE, tracked: [{ ...requests, isOurs: true, reading: fresh(100) }] })).to.not.equal(1);
    expect(
      step({ ...IDLE, tracked: [{ ...requests, isOurs: true, reading: { value: 101, ageMilliseconds: 180_001 } }] }),
    ).to.not.equal(1);
  });

  it('removes a task below one waiting per executing', () => {
    expect(decide(IDLE)).to.deep.equal({
      desired: 2,
      indicated: 'in',
      reason: '0.9 waiting per executing, below 1',
      isAtMaximum: false,
    });
  });

  it('changes nothing at the thresholds themselves', () => {
    expect(step({ ...CALM, waiting: fresh(30), executing: fresh(10) })).to.equal(0);
    expect(step({ ...CALM, waiting: fresh(10), executing: fresh(10) })).to.equal(0);
  });

  it('adds a task above a p99 of 500 ms even if little waits', () => {
    expect(step({ ...IDLE, responseMilliseconds: fresh(501) })).to.equal(1);
    expect(step({ ...CALM, responseMilliseconds: fresh(500) })).to.equal(0);
  });

  it('adds a task by response time alone, for a service that reports nothing else', () => {
    expect(step({ ...CALM, waiting: undefined, executing: undefined, responseMilliseconds: fresh(600) })).to.equal(1);
  });

  it('removes a task when no request has a response time', () => {
    expect(step({ ...IDLE, responseMilliseconds: undefined })).to.equal(-1);
  });

  it('removes no task until the response time is well below its threshold', () => {
    expect(step({ ...IDLE, responseMilliseconds: fresh(250) })).to.equal(0);
    expect(step({ ...IDLE, responseMilliseconds: fresh(249) })).to.equal(-1);
  });

  it('divides by one if nothing is executing', () => {
    expect(step({ ...CALM, waiting: fresh(4), executing: fresh(0) })).to.equal(1);
    expect(step({ ...CALM, waiting: fresh(2), executing: fresh(0) })).to.equal(0);
    expect(step({ ...CALM, waiting: fresh(0), executing: fresh(0) })).to.equal(-1);
  });

  it('adds no task while the database is the bottleneck, and says so', () => {
    const decision = decide({ ...BUSY, databasePercent: fresh(80) });
    expect(decision.desired).to.equal(BUSY.desired);
    expect(decision.indicated).to.equal('out');
    expect(decision.reason).to.include('the database is the bottleneck: its CPU is at 80 %');
  });

  it('adds no task while statements are slow, and says so', () => {
    const decision = decide({ ...BUSY, databaseMilliseconds: fresh(300) });
    expect(decision).to.include({ desired: BUSY.desired, indicated: 'out' });
    expect(decision.reason).to.include(
      'the database is the bottleneck: the p99 of statements is 300 ms, not below 150',
    );
    expect(step({ ...BUSY, databaseMilliseconds: fresh(149) })).to.equal(1);
  });

  it('adds no task for a p99 that is newer than the readings of the database', () => {
    const old = { value: 2, ageMilliseconds: 20_001 };
    const slow = { ...CALM, responseMilliseconds: fresh(900) };
    expect(decide({ ...slow, databasePercent: old, databaseMilliseconds: old }).reason).to.equal(
      'p99 is 900 ms, above 500; no change: the readings of the database are older than the p99',
    );
    expect(step({ ...slow, databasePercent: old })).to.equal(1);
    expect(step({ ...slow, databaseMilliseconds: old })).to.equal(0);
    expect(step({ ...slow, databasePercent: old, databaseMilliseconds: 'none' })).to.equal(0);
    expect(step({ ...slow, databasePercent: 'none', databaseMilliseconds: 'none' })).to.equal(1);
    expect(step({ ...BUSY, databasePercent: old, databaseMilliseconds: old })).to.equal(1);
  });

  it('uses one reading of the database if the other is missing', () => {
    for (const other of ['none', undefined] as const) {
      expect(step({ ...BUSY, databasePercent: other })).to.equal(1);
      expect(step({ ...BUSY, databaseMilliseconds: other })).to.equal(1);
      expect(step({ ...BUSY, databasePercent: other, databaseMilliseconds: fresh(150) })).to.equal(0);
      expect(step({ ...BUSY, databaseMilliseconds: other, databasePercent: fresh(80) })).to.equal(0);
    }
  });

  it('removes a task while the database is busy', () => {
    expect(step({ ...IDLE, databasePercent: fresh(100) })).to.equal(-1);
  });

  it('adds no task when the load of the database is absent or stale', () => {
    const seen: Observation = { ...BUSY, databaseMilliseconds: 'none' };
    expect(decide({ ...seen, databasePercent: undefined })).to.include({ desired: 3, indicated: 'out' });
    expect(step({ ...seen, databasePercent: { value: 10, ageMilliseconds: 180_001 } })).to.equal(0);
    expect(step({ ...seen, databasePercent: { value: 10, ageMilliseconds: 180_000 } })).to.equal(1);
  });

  it('adds a task to a service without a database', () => {
    expect(step({ ...BUSY, databasePercent: 'none', databaseMilliseconds: 'none' })).to.equal(1);
  });

  it('removes no task that target tracking would add again', () => {
    const cpu = (value: number) => ({
      ...IDLE,
      tracked: [{ name: 'CPUUtilization', target: 70, reading: fresh(value) }],
    });
    // 70 × 0.9 × 2 ÷ 3
    expect(step(cpu(41.9))).to.equal(-1);
    expect(decide(cpu(42))).to.include({
      desired: 3,
      reason:
        '0.9 waiting per executing, below 1; no change: ' +
        'CPUUtilization would rise from 42 to 63 per task, and target tracking keeps it at 70',
    });
  });

  it('removes no task while a metric of target tracking has no reading', () => {
    const tracked = (reading: Reading | undefined) => [{ name: 'CPUUtilization', target: 70, reading }];
    expect(decide({ ...IDLE, tracked: tracked(undefined) }).reason).to.match(
      /the reading of CPUUtilization is absent$/,
    );
    expect(step({ ...IDLE, tracked: tracked({ value: 1, ageMilliseconds: 180_001 }) })).to.equal(0);
  });

  it('removes the last task only if target tracking allows it', () => {
    const seen = { ...IDLE, desired: 1, running: 1, min: 0 };
    expect(step({ ...seen, tracked: [{ name: 'RequestCountPerTarget', target: 100, reading: fresh(0) }] })).to.equal(
      -1,
    );
    expect(step({ ...seen, tracked: [{ name: 'RequestCountPerTarget', target: 100, reading: fresh(1) }] })).to.equal(0);
  });

  it('changes nothing if readings are absent', () => {
    for (const seen of [BUSY, IDLE]) {
      expect(decide({ ...seen, waiting: undefined, responseMilliseconds: undefined }).reason).to.equal(
        'no change: the reading of waiting is absent',
      );
      expect(step({ ...seen, waiting: undefined })).to.equal(0);
      expect(step({ ...seen, executing: undefined })).to.equal(0);
    }
  });

  it('changes nothing if readings are stale', () => {
    const stale = (value: number) => ({ value, ageMilliseconds: DEFAULT_THRESHOLDS.maximumAgeMilliseconds + 1 });
    expect(decide({ ...BUSY, waiting: stale(31) }).reason).to.equal(
      'no change: p99 is 100 ms, not above 500, and the reading of waiting is stale',
    );
    expect(step({ ...IDLE, executing: stale(10) })).to.equal(0);
    expect(step({ ...CALM, responseMilliseconds: stale(900) })).to.equal(0);
  });

  for (const absurd of [Number.NaN, Number.POSITIVE_INFINITY, -1]) {
    it(`changes nothing for a reading with the value or age ${absurd}`, () => {
      for (const name of ['waiting', 'executing', 'responseMilliseconds', 'databasePercent', 'databaseMilliseconds']) {
        for (const seen of [BUSY, IDLE]) {
          expect(decide({ ...seen, [name]: fresh(absurd) })).to.deep.include({ desired: 3, indicated: 'none' });
          expect(step({ ...seen, [name]: { value: 20, ageMilliseconds: absurd } })).to.equal(0);
        }
      }
    });
  }

  it('changes nothing on an invalid reading, even if a metric of target tracking has the same name', () => {
    const named = (name: string) => [{ name, target: 70, reading: { value: 1, ageMilliseconds: 0 } }];
    for (const name of ['waiting', 'executing']) {
      const odd = { ...CALM, [name]: { value: -1, ageMilliseconds: 0 }, tracked: named(name) };
      expect(decide(odd).reason).to.equal(`no change: invalid reading of ${name}: -1, 0 ms old`);
    }
  });

  it('reports that minimum and maximum are equal', () => {
    const decision = decide({ ...BUSY, min: 3, max: 3 });
    expect(decision).to.include({ desired: 3, indicated: 'out' });
    expect(decision.reason).to.match(/no change: min and max are both 3$/);
  });

  it('reports that it is at the maximum when more tasks are indicated', () => {
    expect(decide({ ...BUSY, max: 3 })).to.deep.equal({
      desired: 3,
      indicated: 'out',
      reason: '3.1 waiting per executing, above 3; no change: already at the maximum of 3',
      isAtMaximum: true,
    });
  });

  it('does not ask for a higher maximum when more tasks would not help', () => {
    expect(decide({ ...BUSY, max: 3, databasePercent: fresh(90) })).to.include({ isAtMaximum: false });
    expect(decide({ ...IDLE, max: 3 })).to.include({ isAtMaximum: false });
  });

  it('does not change a count that was set outside the bounds', () => {
    expect(step({ ...BUSY, desired: 0, running: 0 })).to.equal(0);
    expect(step({ ...IDLE, desired: 9, running: 9 })).to.equal(0);
  });

  it('changes nothing if counts are invalid', () => {
    for (const counts of [{ min: 4, max: 2 }, { max: Number.NaN }, { desired: 2.5 }, { running: -1 }, { min: -1 }]) {
      expect(decide({ ...BUSY, ...counts }).reason).to.include('invalid counts');
      expect(decide({ ...IDLE, ...counts }).desired).to.equal({ ...IDLE, ...counts }.desired);
    }
  });

  it('has separate cooldowns for out and in', () => {
    expect(step({ ...BUSY, sinceChangeMilliseconds: 29_999 })).to.equal(0);
    expect(step({ ...BUSY, sinceChangeMilliseconds: 30_000 })).to.equal(1);
    expect(step({ ...IDLE, sinceChangeMilliseconds: 119_999 })).to.equal(0);
    expect(step({ ...IDLE, sinceChangeMilliseconds: 120_000 })).to.equal(-1);
  });

  it('changes nothing if the last change is in the future', () => {
    for (const since of [-1, -1e12, Number.NaN]) {
      expect(step({ ...BUSY, sinceChangeMilliseconds: since })).to.equal(0);
      expect(step({ ...IDLE, sinceChangeMilliseconds: since })).to.equal(0);
    }
  });

  it('adds no task until the last one runs', () => {
    expect(step({ ...BUSY, running: 2 })).to.equal(0);
    expect(step({ ...BUSY, running: 4 })).to.equal(1);
  });

  it('removes no task until the last one has ended', () => {
    expect(step({ ...IDLE, running: 4 })).to.equal(0);
    expect(step({ ...IDLE, running: 2 })).to.equal(-1);
  });

  it('uses the given thresholds', () => {
    const thresholds = { ...DEFAULT_THRESHOLDS, waitingPerExecuting: { out: 10, in: 5 } };
    expect(decide(BUSY, thresholds).desired).to.equal(2);
    expect(decide({ ...BUSY, waiting: fresh(101) }, thresholds).desired).to.equal(4);
  });
});

describe('decide, for any observation', () => {
  const number = fc.oneof(fc.double(), fc.double({ min: 0, max: 1000, noNaN: true }));
  const reading = fc.option(
    fc.record({ value: number, ageMilliseconds: fc.oneof(number, fc.integer({ min: 0, max: 400_000 })) }),
    { nil: undefined },
  );
  const sane = (max: number) => fc.double({ min: 0, max, noNaN: true }).map(fresh);
  const count = fc.integer({ min: 0, max: 12 });
  const since = fc.option(fc.oneof(number, fc.integer({ min: -200_000, max: 400_000 })), { nil: undefined });
  const rest = { desired: count, running: count, min: count, max: count, sinceChangeMilliseconds: since };
  const tracked = fc.array(
    fc.record({ name: fc.constant('CPUUtilization'), target: fc.constant(70), isOurs: fc.boolean(), reading }),
    {
      maxLength: 1,
    },
  );
  const anything: fc.Arbitrary<Observation> = fc.oneof(
    fc.record({
      waiting: reading,
      executing: reading,
      responseMilliseconds: reading,
      databasePercent: fc.oneof(reading, fc.constant('none' as const)),
      databaseMilliseconds: fc.oneof(reading, fc.constant('none' as const)),
      tracked,
      ...rest,
    }),
    // Readings that do not stop the decision at once, so that the steps are tried too.
    fc.record({
      waiting: sane(100),
      executing: sane(20),
      responseMilliseconds: sane(1000),
      databasePercent: sane(100),
      databaseMilliseconds: sane(200),
      tracked,
      ...rest,
    }),
  );
  const check = (property: fc.IRawProperty<unknown>) => fc.assert(property as fc.IProperty<unknown>, { numRuns: 2000 });

  it('changes the count by at most one', () => {
    check(fc.property(anything, (seen) => Math.abs(step(seen)) <= 1));
  });

  it('never leaves the bounds', () => {
    check(
      fc.property(anything, (seen) => {
        const { desired } = decide(seen);
        return desired === seen.desired || (desired >= seen.min && desired <= seen.max);
      }),
    );
  });

  it('never adds a task while the database is busy', () => {
    const busy = fc.double({ min: 80, max: 100, noNaN: true }).map(fresh);
    check(fc.property(anything, busy, (seen, databasePercent) => step({ ...seen, databasePercent }) <= 0));
  });

  it('gives a reason', () => {
    check(fc.property(anything, (seen) => decide(seen).reason !== ''));
  });

  it('is monotone in the indicator: more waiting never leads to fewer tasks', () => {
    const pair = fc.tuple(sane(100), sane(100));
    check(
      fc.property(anything, pair, (seen, [one, other]) => {
        const [less, more] = one.value <= other.value ? [one, other] : [other, one];
        return decide({ ...seen, waiting: less }).desired <= decide({ ...seen, waiting: more }).desired;
      }),
    );
  });

  it('is monotone in the response time', () => {
    const pair = fc.tuple(sane(1000), sane(1000));
    check(
      fc.property(anything, pair, (seen, [one, other]) => {
        const [less, more] = one.value <= other.value ? [one, other] : [other, one];
        return (
          decide({ ...seen, responseMilliseconds: less }).desired <=
          decide({ ...seen, responseMilliseconds: more }).desired
        );
      }),
    );
  });

  /** What a run of the scaler changes, when it is woken after each of `waits` and then sees `loads`. */
  function simulate(events: readonly { wait: number; waiting: number; response: number }[]) {
    const changes: { at: number; step: number }[] = [];
    let desired = 3;
    let now = 0;
    for (const { wait, waiting, response } of events) {
      now += wait;
      const last = changes.at(-1);
      const seen = {
        ...CALM,
        waiting: fresh(waiting),
        responseMilliseconds: fresh(response),
        desired,
        running: desired,
        sinceChangeMilliseconds: last && now - last.at,
      };
      const decision = decide(seen);
      if (decision.desired !== desired) changes.push({ at: now, step: decision.desired - desired });
      desired = decision.desired;
    }
    return changes;
  }
  const events = (waiting: fc.Arbitrary<number>, response: fc.Arbitrary<number>) =>
    fc.array(fc.record({ wait: fc.integer({ min: 0, max: 90_000 }), waiting, response }), { maxLength: 60 });

  it('never makes two changes within a cooldown', () => {
    const load = events(fc.constantFrom(0, 2, 9), fc.constantFrom(100, 400, 900));
    check(
      fc.property(load, (run) =>
        simulate(run).every(({ at, step }, index, changes) => {
          const before = changes[index - 1];
          return before === undefined || at - before.at >= (step > 0 ? 30_000 : 120_000);
        }),
      ),
    );
  });

  it('never changes in a steady state between the thresholds', () => {
    const steady = events(fc.double({ min: 1, max: 3, noNaN: true }), fc.double({ min: 0, max: 500, noNaN: true }));
    check(fc.property(steady, (run) => simulate(run).length === 0));
  });
});
