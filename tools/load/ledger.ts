/** A date of birth; undefined when the user does not exist. */
type Value = string | undefined;

interface Write {
  readonly date: string;
  readonly sent: number;
  /** The time of its answer or timeout; Infinity while it is pending. */
  ended: number;
  acknowledged: boolean;
}

const DAY_MILLISECONDS = 86_400_000;

/**
 * The values that callers wrote, and when: enough to decide which answers of a later read are possible if every name is
 * a register (https://jepsen.io/consistency/models/linearizable). Times are milliseconds of one clock.
 */
export class Ledger {
  readonly #writes = new Map<string, Write[]>();
  readonly #lateWritesEnd: boolean;

  /**
   * `lateWritesEnd`: a refused write never takes effect after a later one was acknowledged. One process guarantees this
   * for its own writes (docs/decisions/07); with two processes, a late write can come last.
   */
  constructor({ lateWritesEnd }: { lateWritesEnd: boolean }) {
    this.#lateWritesEnd = lateWritesEnd;
  }

  get names(): string[] {
    return [...this.#writes.keys()];
  }

  /** Records the start of a write; the returned function records its end. */
  begin(name: string, date: string, now: number): (acknowledged: boolean, now: number) => void {
    const write: Write = { date, sent: now, ended: Number.POSITIVE_INFINITY, acknowledged: false };
    const writes = this.#writes.get(name) ?? [];
    writes.push(write);
    this.#writes.set(name, writes);
    return (acknowledged, at) => {
      write.acknowledged = acknowledged;
      if (acknowledged || this.#lateWritesEnd) write.ended = at;
    };
  }

  /** The possible values of a read of `name` that was sent and answered at these times. */
  possible(name: string, sent: number, answered: number): Set<Value> {
    const writes = this.#writes.get(name) ?? [];
    const before = writes.filter((write) => write.acknowledged && write.ended <= sent);
    const latest = Math.max(...before.map((write) => write.sent));
    const values = new Set<Value>();
    if (before.length === 0) values.add(undefined);
    for (const write of writes) if (write.sent <= answered && write.ended >= latest) values.add(write.date);
    return values;
  }
}

/**
 * Days from `today` to the next birthday, by the same calendar as the service: 29 February is 1 March in common years.
 */
export function daysUntilBirthday(dateOfBirth: string, today: Date): number {
  const [, month = 1, day = 1] = dateOfBirth.split('-').map(Number);
  const midnight = Date.UTC(today.getUTCFullYear(), today.getUTCMonth(), today.getUTCDate());
  const inYear = (year: number) => (Date.UTC(year, month - 1, day) - midnight) / DAY_MILLISECONDS;
  const thisYear = inYear(today.getUTCFullYear());
  return thisYear >= 0 ? thisYear : inYear(today.getUTCFullYear() + 1);
}
