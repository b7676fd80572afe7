import { Unavailable } from '../operations/errors.ts';

/** How a coalescer works; all of it is about one kind of item. */
export interface Coalescing<Item, Result> {
  /** Does the work for all of `items` at once; one result for each, in their order. */
  run(items: readonly Item[]): Promise<Result[]>;
  /** How many batches may be under way at once; with one, batches are done strictly in order of arrival. */
  lanes: number;
  /** The most items of a batch. */
  largestBatch: number;
  /** The most items that may wait or be under way; further ones are turned away at once. */
  limit: number;
  /** When an item that has no answer yet is given up, in milliseconds from its arrival. */
  patience: number;
  /** Whether `next` may go into one batch with `first`; by default everything may. */
  fits?(first: Item, next: Item): boolean;
}

interface Waiting<Item, Result> {
  item: Item;
  resolve(result: Result): void;
  reject(error: unknown): void;
  givenUp: boolean;
}

/** Longer than a turn of the event loop takes, unless more is coming in than can be answered. */
const LATE_MILLISECONDS = 5;

/**
 * Work that arrives together is done together. While a batch is under way, what arrives waits and becomes the next
 * one, so batches grow with the load and a single item never waits for company. A batch takes in nothing once it has
 * begun: what it reads is never older than an item's arrival. When a batch fails for any reason other than the
 * database being away, its items are tried one by one, so that a bad one fails alone. An item that is not answered in
 * time, or arrives when too many are there already, is refused with `Unavailable`.
 */
export class Coalescer<Item, Result> {
  readonly #how: Coalescing<Item, Result>;
  #waiting: Waiting<Item, Result>[] = [];
  #lanesInUse = 0;
  #present = 0;
  #scheduled = false;
  #scheduledAt = 0;

  constructor(how: Coalescing<Item, Result>) {
    this.#how = how;
  }

  /** Items that wait or are under way. */
  get size(): number {
    return this.#present;
  }

  /**
   * The result for `item`.
   * @throws {Unavailable} when it had to be given up or turned away
   */
  submit(item: Item): Promise<Result> {
    this.#beginWhenLate();
    if (this.#present >= this.#how.limit) {
      return Promise.reject(new Unavailable(`overload: ${this.#present} requests wait for the database`));
    }
    this.#present += 1;
    return new Promise((resolve, reject) => {
      const clock = setTimeout(() => {
        waiting.givenUp = true;
        waiting.reject(new Unavailable(`no answer from the database within ${this.#how.patience} ms`));
      }, this.#how.patience);
      const settle = () => {
        clearTimeout(clock);
        this.#present -= 1;
      };
      const waiting: Waiting<Item, Result> = {
        item,
        givenUp: false,
        resolve(result) {
          settle();
          resolve(result);
        },
        reject(error) {
          settle();
          reject(error);
        },
      };
      this.#waiting.push(waiting);
      this.#schedule();
    });
  }

  /** Begins batches at the end of this turn of the event loop, when all that arrived in it is there. */
  #schedule(): void {
    if (this.#scheduled || this.#lanesInUse >= this.#how.lanes) return;
    this.#scheduled = true;
    this.#scheduledAt = performance.now();
    setImmediate(() => {
      this.#scheduled = false;
      this.#begin();
    });
  }

  /**
   * The end of the turn may be seconds away: while more than 1,024 sockets have something to read, libuv reads on
   * (`uv__io_poll`, up to 48 times as many), and neither immediates nor timers get a turn.
   */
  #beginWhenLate(): void {
    if (this.#scheduled && performance.now() - this.#scheduledAt > LATE_MILLISECONDS) this.#begin();
  }

  #begin(): void {
    if (this.#lanesInUse >= this.#how.lanes) return;
    const batch = this.#next();
    if (batch.length === 0) return;
    this.#lanesInUse += 1;
    void this.#work(batch).finally(() => {
      this.#lanesInUse -= 1;
      if (this.#waiting.length > 0) this.#schedule();
    });
    if (this.#waiting.length > 0) this.#schedule();
  }

  #next(): Waiting<Item, Result>[] {
    const waiting = this.#waiting.filter(({ givenUp }) => !givenUp);
    const { fits, largestBatch } = this.#how;
    const [first] = waiting;
    let length = Math.min(waiting.length, largestBatch);
    if (first !== undefined && fits !== undefined) {
      const misfit = waiting.findIndex(({ item }, at) => at > 0 && !fits(first.item, item));
      if (misfit !== -1) length = Math.min(length, misfit);
    }
    this.#waiting = waiting.slice(length);
    return waiting.slice(0, length);
  }

  async #work(batch: Waiting<Item, Result>[]): Promise<void> {
    try {
      const results = await this.#how.run(batch.map(({ item }) => item));
      batch.forEach((waiting, at) => {
        if (waiting.givenUp) return;
        // `run` gives one result for each item, in their order.
        waiting.resolve(results[at] as Result);
      });
    } catch (error) {
      if (batch.length > 1 && !(error instanceof Unavailable)) {
        for (const alone of batch) await this.#work([alone]);
        return;
      }
      for (const waiting of batch) if (!waiting.givenUp) waiting.reject(error);
    }
  }
}
