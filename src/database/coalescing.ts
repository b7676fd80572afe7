import type { Span } from '@opentelemetry/api';
import { Overloaded, Unavailable } from '../unavailable.ts';

/** What a coalescer needs from tracing, if it is on. */
export interface RequestTracing {
  /** The spans of the requests that the current work is for. */
  causes(): readonly Span[];
  /** Runs `work` for all these requests at once. */
  forAll<Result>(causes: readonly Span[], work: () => Result): Result;
}

/** Options of a coalescer. */
export interface CoalescerOptions<Item, Result> {
  /** Processes all `items` together; returns one result per item, in their order. */
  run(items: readonly Item[]): Promise<Result[]>;
  /** The maximum number of concurrent batches; with 1, batches run strictly in order of arrival. */
  concurrency: number;
  /** The maximum number of items in a batch. */
  largestBatch: number;
  /** The maximum number of items that wait or run; more are rejected immediately. */
  limit: number;
  /** An item without a result is rejected after this time since its arrival, in milliseconds. */
  timeout: number;
  /** Whether `next` may be in the same batch as `first`; by default every item may. */
  canJoin?(first: Item, next: Item): boolean;
  /** Whether the batch failed only because of others that ran at the same time, so that it may succeed the next time. */
  isConflict?(error: unknown): boolean;
  /** Attributes a batch to its requests. */
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

/** How often a batch is run that is in conflict with others. */
const MOST_ATTEMPTS = 4;
/** The interval between checks for expired items: one timer for all costs less than one per item. */
const SWEEP_MILLISECONDS = 50;
/** Longer than a turn of the event loop takes, unless more requests arrive than can be answered. */
const LATE_MILLISECONDS = 5;

/**
 * Processes items in batches. Items that arrive while a batch runs form the next one, so batches grow with the load, and
 * a single item never waits for others. A batch that has started takes no more items: what it reads is never older than
 * the arrival of an item. If a batch fails for another reason than an unavailable database, its items are retried one by
 * one, so that an invalid item fails alone. An item is rejected with `Unavailable` if it has no result in time, or if too
 * many items are waiting.
 */
export class Coalescer<Item, Result> {
  readonly #options: CoalescerOptions<Item, Result>;
  #waiting: Waiting<Item, Result>[] = [];
  readonly #underWay = new Set<readonly Waiting<Item, Result>[]>();
  #size = 0;
  #scheduled = false;
  #scheduledAt = 0;
  #sweep: NodeJS.Timeout | undefined;

  constructor(options: CoalescerOptions<Item, Result>) {
    this.#options = options;
  }

  /** The number of items that wait or run. */
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
   * @throws {Unavailable} if there is none in time
   */
  submit(item: Item): Promise<Result> {
    const now = performance.now();
    if (this.#scheduled && now - this.#scheduledAt > LATE_MILLISECONDS) this.#begin();
    if (this.#size >= this.#options.limit) {
      return Promise.reject(new Overloaded(`overload: ${this.#size} requests wait for the database`));
    }
    this.#size += 1;
    this.#sweep ??= setInterval(() => this.#sweepUp(), SWEEP_MILLISECONDS);
    return new Promise((resolve, reject) => {
      const causes = this.#options.tracing?.causes();
      this.#waiting.push({ item, arrivedAt: now, causes, resolve, reject, answered: false });
      this.#schedule(now);
    });
  }

  /**
   * Starts batches at the end of this turn of the event loop, when every item of the turn has arrived; a single item
   * starts as soon as its caller returns. The turn may take seconds: while more than 1,024 sockets are readable, libuv
   * continues to read (`uv__io_poll`, up to 48 times as many), and neither immediates nor timers run. Then `submit` starts
   * the batches.
   */
  #schedule(now: number): void {
    if (this.#scheduled || this.#underWay.size >= this.#options.concurrency) return;
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
    if (this.#underWay.size >= this.#options.concurrency) return;
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
    const { canJoin, largestBatch } = this.#options;
    const [first] = waiting;
    let length = Math.min(waiting.length, largestBatch);
    if (first !== undefined && canJoin !== undefined) {
      const refused = waiting.findIndex(({ item }, at) => at > 0 && !canJoin(first.item, item));
      if (refused !== -1) length = Math.min(length, refused);
    }
    this.#waiting = waiting.slice(length);
    return waiting.slice(0, length);
  }

  async #work(batch: readonly Waiting<Item, Result>[], attempt = 1): Promise<void> {
    try {
      const results = await this.#run(batch);
      // `run` gives one result for each item, in their order.
      batch.forEach((waiting, at) => {
        if (this.#answers(waiting)) waiting.resolve(results[at] as Result);
      });
    } catch (error) {
      // One that was rejected meanwhile must not be carried out later.
      const open = batch.filter(({ answered }) => !answered);
      const isConflict = this.#options.isConflict?.(error) ?? false;
      if (open.length > 0 && isConflict && attempt < MOST_ATTEMPTS) return await this.#work(open, attempt + 1);
      if (batch.length > 1 && !isConflict && !(error instanceof Unavailable)) {
        for (const alone of open) if (!alone.answered) await this.#work([alone]);
        return;
      }
      const reason = isConflict ? new Unavailable(`${attempt} conflicts in a row`, { cause: error }) : error;
      for (const waiting of batch) if (this.#answers(waiting)) waiting.reject(reason);
    }
  }

  #run(batch: readonly Waiting<Item, Result>[]): Promise<Result[]> {
    const { tracing } = this.#options;
    const items = batch.map(({ item }) => item);
    if (tracing === undefined) return this.#options.run(items);
    return tracing.forAll(
      batch.flatMap(({ causes }) => causes ?? []),
      () => this.#options.run(items),
    );
  }

  #sweepUp(): void {
    this.#giveUp(this.#waiting);
    for (const batch of this.#underWay) this.#giveUp(batch);
    if (this.#size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  /** Rejects those of `items`, which are in order of arrival, that have waited too long. */
  #giveUp(items: readonly Waiting<Item, Result>[]): void {
    const { timeout } = this.#options;
    const latest = performance.now() - timeout;
    for (const waiting of items) {
      if (waiting.arrivedAt > latest) return;
      if (this.#answers(waiting)) waiting.reject(new Unavailable(`no answer from the database within ${timeout} ms`));
    }
  }

  /** Marks `waiting` as answered; false if it already was. */
  #answers(waiting: Waiting<Item, Result>): boolean {
    if (waiting.answered) return false;
    waiting.answered = true;
    this.#size -= 1;
    return true;
  }
}
