import type { Span } from '@opentelemetry/api';
import { Overloaded, Unavailable } from '../unavailable.ts';

/** What a coalescer asks of the traces, when they are on. */
export interface RequestTracing {
  /** The spans of the requests that the present work is for. */
  causes(): readonly Span[];
  /** Runs `work` for all these requests at once. */
  forAll<Result>(causes: readonly Span[], work: () => Result): Result;
}

/** How a coalescer works; all of it is about one kind of item. */
export interface Coalescing<Item, Result> {
  /** Does the work for all of `items` at once; one result for each, in their order. */
  run(items: readonly Item[]): Promise<Result[]>;
  /** How many batches may be under way at once; with one, batches are done strictly in order of arrival. */
  concurrency: number;
  /** The most items of a batch. */
  largestBatch: number;
  /** The most items that may wait or be under way; further ones are turned away at once. */
  limit: number;
  /** When an item that has no answer yet is given up, in milliseconds from its arrival. */
  timeout: number;
  /** Whether `next` may go into one batch with `first`; by default everything may. */
  canJoin?(first: Item, next: Item): boolean;
  /** Is told which requests a batch is for. */
  tracing?: RequestTracing | undefined;
}

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly arrivedAt: number;
  readonly causes: readonly Span[] | undefined;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
  answered: boolean;
}

/** How often it is looked for items that have waited too long: one clock for all costs less than one for each. */
const SWEEP_MILLISECONDS = 50;
/** Longer than a turn of the event loop takes, unless more is coming in than can be answered. */
const LATE_MILLISECONDS = 5;

/**
 * Work that arrives together is done together. While a batch is under way, what arrives waits and becomes the next
 * one, so batches grow with the load and a single item never waits for company. A batch takes in nothing once it has
 * begun: what it reads is never older than an item's arrival. When a batch fails for any reason other than the
 * database being unavailable, its items are tried one by one, so that a bad one fails alone. An item that is not answered in
 * time, or arrives when too many are there already, is refused with `Unavailable`.
 */
export class Coalescer<Item, Result> {
  readonly #how: Coalescing<Item, Result>;
  #waiting: Waiting<Item, Result>[] = [];
  readonly #underWay = new Set<readonly Waiting<Item, Result>[]>();
  #size = 0;
  #scheduled = false;
  #scheduledAt = 0;
  #sweep: NodeJS.Timeout | undefined;

  constructor(how: Coalescing<Item, Result>) {
    this.#how = how;
  }

  /** Items that wait or are under way. */
  get size(): number {
    return this.#size;
  }

  /** Items under way. Counted when asked for, so that the work itself counts nothing for it. */
  get executing(): number {
    let count = 0;
    for (const batch of this.#underWay) for (const { answered } of batch) if (!answered) count += 1;
    return count;
  }

  /**
   * The result for `item`.
   * @throws {Unavailable} when it had to be given up; {Overloaded} when it was turned away
   */
  submit(item: Item): Promise<Result> {
    const now = performance.now();
    if (this.#scheduled && now - this.#scheduledAt > LATE_MILLISECONDS) this.#begin();
    if (this.#size >= this.#how.limit) {
      return Promise.reject(new Overloaded(`overload: ${this.#size} requests wait for the database`));
    }
    this.#size += 1;
    this.#sweep ??= setInterval(() => this.#sweepUp(), SWEEP_MILLISECONDS);
    return new Promise((resolve, reject) => {
      const causes = this.#how.tracing?.causes();
      this.#waiting.push({ item, arrivedAt: now, causes, resolve, reject, answered: false });
      this.#schedule(now);
    });
  }

  /**
   * Begins batches at the end of this turn of the event loop, when all that arrived in it is there; what is alone
   * begins as soon as its caller is done. The end of the turn may be seconds away: while more than 1,024 sockets have
   * something to read, libuv reads on (`uv__io_poll`, up to 48 times as many), and neither immediates nor timers get a
   * turn. Then `submit` begins them.
   */
  #schedule(now: number): void {
    if (this.#scheduled || this.#underWay.size >= this.#how.concurrency) return;
    this.#scheduled = true;
    this.#scheduledAt = now;
    const begin = () => {
      this.#scheduled = false;
      this.#begin();
    };
    if (this.#size === 1) void Promise.resolve().then(begin);
    else setImmediate(begin);
  }

  #begin(): void {
    if (this.#underWay.size >= this.#how.concurrency) return;
    const batch = this.#next();
    if (batch.length === 0) return;
    this.#underWay.add(batch);
    void this.#work(batch).finally(() => {
      this.#underWay.delete(batch);
      if (this.#waiting.length > 0) this.#schedule(performance.now());
    });
    if (this.#waiting.length > 0) this.#schedule(performance.now());
  }

  #next(): readonly Waiting<Item, Result>[] {
    this.#giveUp(this.#waiting);
    const waiting = this.#waiting.filter(({ answered }) => !answered);
    const { canJoin, largestBatch } = this.#how;
    const [first] = waiting;
    let length = Math.min(waiting.length, largestBatch);
    if (first !== undefined && canJoin !== undefined) {
      const refused = waiting.findIndex(({ item }, at) => at > 0 && !canJoin(first.item, item));
      if (refused !== -1) length = Math.min(length, refused);
    }
    this.#waiting = waiting.slice(length);
    return waiting.slice(0, length);
  }

  async #work(batch: readonly Waiting<Item, Result>[]): Promise<void> {
    try {
      const results = await this.#run(batch);
      // `run` gives one result for each item, in their order.
      batch.forEach((waiting, at) => {
        if (this.#answers(waiting)) waiting.resolve(results[at] as Result);
      });
    } catch (error) {
      if (batch.length > 1 && !(error instanceof Unavailable)) {
        for (const alone of batch) await this.#work([alone]);
        return;
      }
      for (const waiting of batch) if (this.#answers(waiting)) waiting.reject(error);
    }
  }

  #run(batch: readonly Waiting<Item, Result>[]): Promise<Result[]> {
    const { tracing } = this.#how;
    const items = batch.map(({ item }) => item);
    if (tracing === undefined) return this.#how.run(items);
    return tracing.forAll(
      batch.flatMap(({ causes }) => causes ?? []),
      () => this.#how.run(items),
    );
  }

  #sweepUp(): void {
    this.#giveUp(this.#waiting);
    for (const batch of this.#underWay) this.#giveUp(batch);
    if (this.#size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  /** Refuses those of `items`, which stand in order of arrival, that have waited too long. */
  #giveUp(items: readonly Waiting<Item, Result>[]): void {
    const { timeout } = this.#how;
    const latest = performance.now() - timeout;
    for (const waiting of items) {
      if (waiting.arrivedAt > latest) return;
      if (this.#answers(waiting)) waiting.reject(new Unavailable(`no answer from the database within ${timeout} ms`));
    }
  }

  /** Whether `waiting` is answered now; false when it was before. */
  #answers(waiting: Waiting<Item, Result>): boolean {
    if (waiting.answered) return false;
    waiting.answered = true;
    this.#size -= 1;
    return true;
  }
}
