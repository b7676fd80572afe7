import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The name under which the service knows the database, as the endpoint of an RDS or Aurora cluster. */
const NAME = 'database.drill.test';
const WATCH_MILLISECONDS = 200;
/** The service resolves names by {@link file://./moving-name.ts}, which Node loads first. */
const PRELOAD = new URL('moving-name.ts', import.meta.url).href;

/** A name that leads to one member of a cluster, and to another one after a failover. */
export class MovingEndpoint<Member extends { readonly address: string }> {
  /** The DATABASE_HOST of the service, and what has it resolve that name. */
  readonly env: Record<string, string>;
  readonly #addresses: string;
  #current: Member;
  #isOver = false;
  readonly #watching: Promise<void>;

  /**
   * @param directory for the file with the address
   * @param first the member to which the name leads at first
   * @param choose returns the member to lead to; undefined if none can serve, and the name stays as it is
   */
  constructor(directory: string, first: Member, choose: (current: Member) => Promise<Member | undefined>) {
    this.#addresses = join(directory, 'addresses.json');
    this.env = { DATABASE_HOST: NAME, NODE_OPTIONS: `--import=${PRELOAD}`, MOVING_NAMES: this.#addresses };
    this.#current = first;
    this.#leadTo(first);
    this.#watching = this.#watch(choose);
  }

  /** The member to which the name leads. */
  get current(): Member {
    return this.#current;
  }

  /**
   * Waits until the name leads to another member than `former`, and returns that one.
   * @throws when it does not within `seconds`
   */
  async untilNot(former: Member, seconds: number): Promise<Member> {
    for (const deadline = Date.now() + seconds * 1000; Date.now() < deadline; await sleep(20)) {
      if (this.#current !== former) return this.#current;
    }
    throw new Error(`no other member than ${former.address} became the primary within ${seconds} s`);
  }

  /** Moves the name no more. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#watching;
  }

  /** With a new file in one step, as the operator of a cluster changes a name. */
  #leadTo(member: Member): void {
    this.#current = member;
    writeFileSync(`${this.#addresses}.new`, JSON.stringify({ [NAME]: member.address }));
    renameSync(`${this.#addresses}.new`, this.#addresses);
  }

  async #watch(choose: (current: Member) => Promise<Member | undefined>): Promise<void> {
    for (; !this.#isOver; await sleep(WATCH_MILLISECONDS)) {
      const chosen = await choose(this.#current);
      if (chosen !== undefined && chosen !== this.#current) this.#leadTo(chosen);
    }
  }
}
