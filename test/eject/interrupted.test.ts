import { expect } from 'chai';
import type { Session } from '../../eject/apply.ts';
import { applyStep, undoStep } from '../../eject/run-steps.ts';
import { changes, type StepName, stepNames } from '../../eject/steps.ts';
import { type Entry, FakeCloudFormation, memoryJournal } from './cloudformation.ts';
import { inventory } from './stacks.ts';

const planned = inventory('web');
const all = changes(planned);
const chosen = (step: StepName) => all.filter((change) => change.step === step);

type Run = (session: Session, step: StepName) => Promise<void>;
const apply: Run = (session, step) => applyStep(session, all, chosen(step));
const undo: Run = (session, step) => undoStep(session, all, chosen(step));

/** AWS and the journal of a run, which outlive its process. */
interface World {
  readonly cloud: FakeCloudFormation;
  readonly entries: Entry[];
}

function copyOf({ cloud, entries }: World): World {
  const copy = cloud.copy();
  copy.polls = 1;
  return { cloud: copy, entries: [...entries] };
}

function sessionOf({ cloud, entries }: World, onCall: () => void = () => {}, onDone: () => void = () => {}): Session {
  cloud.onCall = onCall;
  cloud.onAnswer = onDone;
  const memory = memoryJournal(entries);
  const journal = {
    ...memory,
    write: (entry: Entry) => {
      onCall();
      memory.write(entry);
      onDone();
    },
  };
  return { clients: cloud.clients(), inventory: planned, journal, say: () => {}, confirm: async () => {} };
}

/** What a step leaves in AWS and in the journal; the time stamp of an undo is another one each time. */
function endOf({ cloud, entries }: World) {
  const stacks = [...cloud.stacks.values()].map(({ template, ...rest }) => {
    return { ...rest, template: template.replaceAll(/plusone-eject-\d+/g, 'plusone-eject') };
  });
  const names = stacks.map(({ name }) => name);
  const last = names.map((name) => entries.findLast(({ stack }) => stack === name)?.event);
  return { stacks, policies: names.map((name) => cloud.policies.get(name)), last };
}

/** Whether a run came to the nth of its calls and lines of the journal, after which nothing of it happens any more. */
async function isKilled(world: World, run: Run, step: StepName, n: number): Promise<boolean> {
  let done = 0;
  const onCall = () => {
    if (done >= n) throw new Error('killed');
  };
  const onDone = () => {
    done += 1;
    onCall();
  };
  const result = await Promise.allSettled([run(sessionOf(world, onCall, onDone), step)]);
  return result[0].status === 'rejected';
}

/** Whether a run came to its nth call, which is denied; it can still clean up. */
async function isDenied(world: World, run: Run, step: StepName, n: number): Promise<boolean> {
  let calls = 0;
  let isOver = false;
  const onCall = () => {
    calls += 1;
    if (calls !== n) return;
    isOver = true;
    throw new Error('AccessDenied');
  };
  await Promise.allSettled([run(sessionOf(world, onCall), step)]);
  return isOver;
}

/** Runs a step to its end from what was interrupted at each call, all at once since most of it is waiting. */
async function ends(start: World, run: Run, step: StepName, isInterrupted: typeof isKilled): Promise<unknown[]> {
  let calls = 0;
  await run(
    sessionOf(copyOf(start), () => {
      calls += 1;
    }),
    step,
  );
  return await Promise.all(
    Array.from({ length: calls }, async (_, i) => {
      const world = copyOf(start);
      expect(await isInterrupted(world, run, step, i + 1)).to.equal(true);
      await run(sessionOf(world), step);
      return endOf(world);
    }),
  );
}

async function after(world: World, run: Run, step: StepName): Promise<World> {
  const next = copyOf(world);
  await run(sessionOf(next), step);
  return next;
}

describe('a step that is interrupted', function () {
  // Each update is asked about every two seconds.
  this.timeout('4m');

  /** The worlds before each step, and after the last one. */
  const worlds: World[] = [{ cloud: new FakeCloudFormation(planned.stacks), entries: [] }];
  before(async () => {
    for (const step of stepNames) {
      const [last] = worlds.slice(-1);
      if (last) worlds.push(await after(last, apply, step));
    }
  });

  for (const [title, run, isInterrupted] of [
    ['killed after each of its calls and applied again', apply, isKilled],
    ['denied each of its calls and applied again', apply, isDenied],
    ['killed after each of its calls and undone again', undo, isKilled],
  ] as const) {
    it(`ends as without it: ${title}`, async () => {
      const counts = stepNames.map(async (step, i) => {
        const start = worlds[run === apply ? i : i + 1] ?? expect.fail('no world');
        const whole = endOf(await after(start, run, step));
        const found = await ends(start, run, step, isInterrupted);
        for (const end of found) expect(end, step).to.deep.equal(whole);
        return found.length;
      });
      for (const count of await Promise.all(counts)) expect(count).to.be.greaterThan(10);
    });
  }
});
