import { Refusal } from '../tools/terminal/refusal.ts';
import {
  check,
  deleteChangeSet,
  execute,
  positionOf,
  restorePolicy,
  type Session,
  type Update,
  updateOf,
  verify,
} from './apply.ts';
import { liveStacks, readAgain, workloadsOf } from './aws.ts';
import { workloadStacks } from './inventory.ts';
import { type Change, depends, isSameTemplate, reversed, stepNames } from './steps.ts';
import type { Template } from './template.ts';

/** Creates and checks the change sets of these changes, and deletes them. Throws Refusal. */
export async function checkStep(session: Session, all: readonly Change[], chosen: readonly Change[]): Promise<void> {
  for (const change of chosen) {
    await requireEarlier(session, all, change);
    const ready = await prepare(session, all, change, `${change.step} of ${change.stack.name}`);
    if (ready) await deleteChangeSet(session.clients.cloudFormation, change.stack.name, ready.update.name);
  }
}

/** Applies those of these changes that have not been applied yet. Throws Refusal. */
export async function applyStep(session: Session, all: readonly Change[], chosen: readonly Change[]): Promise<void> {
  for (const change of chosen) {
    await requireEarlier(session, all, change);
    await carryOut(session, all, change, `${change.step} of ${change.stack.name}`);
  }
}

/** Undoes these changes in reverse order. Throws Refusal. */
export async function undoStep(session: Session, all: readonly Change[], chosen: readonly Change[]): Promise<void> {
  for (const change of chosen.toReversed()) {
    for (const later of all.filter((other) => other.stack.name !== change.stack.name && depends(other, change)))
      if (await isMade(session, all, later))
        throw new Refusal(`undo ${later.step} of ${later.stack.name} before ${change.step} of ${change.stack.name}`);
    const back = reversed(change, `plusone-eject-${Date.now()}`);
    await carryOut(session, all, back, `undo ${change.step} of ${change.stack.name}`);
  }
}

/** The templates of a stack: as planned, and after each of its steps. */
function templatesOf(all: readonly Change[], { stack }: Change): { own: Change[]; templates: Template[] } {
  const own = all.filter((other) => other.stack.name === stack.name);
  return { own, templates: [...own.slice(0, 1).map(({ from }) => from), ...own.map(({ to }) => to)] };
}

function deployedSince({ inventory }: Session): string {
  return `the template of the stack is not one of these steps; something else deployed it since ${inventory.takenAt}. Look at it, and run plan again`;
}

async function isMade(session: Session, all: readonly Change[], change: Change): Promise<boolean> {
  const { own, templates } = templatesOf(all, change);
  const { position } = await positionOf(session, change.stack, templates);
  if (position < 0) throw new Refusal(`${change.stack.name}: ${deployedSince(session)}`);
  return position > own.indexOf(change);
}

/** Checks the other stacks; for the same stack, its template shows the position. */
async function requireEarlier(session: Session, all: readonly Change[], change: Change): Promise<void> {
  if (change.step === 'environment') await requireNoNewWorkloads(session);
  for (const earlier of all.filter((other) => other.stack.name !== change.stack.name && depends(change, other)))
    if (!(await isMade(session, all, earlier)))
      throw new Refusal(`${change.step} of ${change.stack.name} needs ${earlier.step} of ${earlier.stack.name} first`);
}

/** The controller of a service that came since the plan needs the parameters of the environment. */
async function requireNoNewWorkloads({ clients: { cloudFormation }, inventory }: Session): Promise<void> {
  const { application, environment, takenAt } = inventory;
  const known = new Set(workloadStacks(inventory).map(({ name }) => name));
  const stacks = workloadsOf(await liveStacks(cloudFormation), application, environment);
  const others = stacks.flatMap(({ StackName = '' }) => (known.has(StackName) ? [] : [StackName]));
  if (others.length > 0)
    throw new Refusal(`${others.join(', ')}: deployed since ${takenAt}; run plan again, and take its steps first`);
}

async function carryOut(session: Session, all: readonly Change[], change: Change, what: string): Promise<void> {
  const ready = await prepare(session, all, change, what);
  if (!ready) return;
  await session.confirm(`${what}: carry out?`);
  await execute(session, change.stack, ready.update, ready.changeSet);
  await verify(session, change);
  session.journal.write({ event: 'done', stack: change.stack.name, what });
  session.say(`${what}: done; the physical resources are the same`);
}

/** The update with its checked change set, or undefined if there is nothing to do. */
async function prepare(
  session: Session,
  all: readonly Change[],
  change: Change,
  what: string,
): Promise<{ update: Update; changeSet: string } | undefined> {
  const { stack } = change;
  const { say, journal, inventory, clients } = session;
  const { own, templates } = templatesOf(all, change);
  const index = own.findIndex(({ step }) => step === change.step);
  const isUndo = change.from === own[index]?.to;
  const { position, description } = await positionOf(session, stack, templates);
  if (position < 0) throw new Refusal(`${what} is refused: ${deployedSince(session)}`);
  if ((isUndo ? position <= index : position > index) || isSameTemplate(change.from, change.to)) {
    const last = journal.last(stack.name);
    if (last === 'execute' || last === 'end') {
      await restorePolicy(clients.cloudFormation, stack);
      if (position === (isUndo ? index : index + 1)) await verify(session, change);
      journal.write({ event: 'done', stack: stack.name, what });
    }
    say(`${what}: done already`);
    return undefined;
  }
  if (position !== (isUndo ? index + 1 : index)) {
    const at = position === 0 ? 'before the first step' : `after ${own[position - 1]?.step}`;
    throw new Refusal(`${what} is refused: the stack is ${at}; the order of the steps is ${stepNames.join(', ')}`);
  }
  const lost = Object.entries(stack.tags).filter(
    ([key, value]) => !description.Tags?.some(({ Key, Value }) => Key === key && Value === value),
  );
  if (lost.length > 0)
    throw new Refusal(
      `${what} is refused: the tags of the stack are not those of the inventory: ${lost.map(([key]) => key).join(', ')}`,
    );
  const update = updateOf(change, await readAgain(clients, inventory, stack));
  const { problems, changeSet, changes } = await check(session, stack, description, update);
  if (problems.length > 0)
    throw new Refusal([`${what} is refused:`, ...problems.map((line) => `  ${line}`)].join('\n'));
  const { removed, added } = update.expected;
  say(
    `${what}: ${changes.length} resources in the change set; none is replaced; ${[
      `removed: ${removed.join(', ') || 'none'}`,
      ...(added.length > 0 ? [`created: ${added.join(', ')}`] : []),
    ].join('; ')}`,
  );
  return { update, changeSet };
}
