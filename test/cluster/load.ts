import { url } from './cluster.ts';

/** What came of the requests of a load. */
export interface Outcome {
  /** How often each status, or each kind of failure to get an answer. */
  counts: Record<string, number>;
  /** The last write of each user that was acknowledged, and those sent later whose answer never came. */
  written: Map<string, { acknowledged?: string; unknown: string[] }>;
  /** The longest wait for an answer, in milliseconds. */
  slowest: number;
}

const CLIENTS = 8;
const TIMEOUT_MILLISECONDS = 10_000;

/**
 * Clients that save and read birthdays, each one request after the other and half of them on a new connection for
 * each, until `stop`.
 */
export function startLoad(): { stop(): Promise<Outcome> } {
  const outcome: Outcome = { counts: {}, written: new Map(), slowest: 0 };
  let stopping = false;

  async function client(number: number): Promise<void> {
    const user = `load${'abcdefghij'[number]}`;
    const headers = { 'content-type': 'application/json', ...(number % 2 === 0 ? { connection: 'close' } : {}) };
    for (let round = 0; !stopping; round++) {
      const dateOfBirth = new Date(Date.UTC(1950, 0, 1 + (round % 20_000))).toISOString().slice(0, 10);
      const saved = await request(user, { method: 'PUT', headers, body: JSON.stringify({ dateOfBirth }) });
      const written = outcome.written.get(user) ?? { unknown: [] };
      if (saved === '204') outcome.written.set(user, { acknowledged: dateOfBirth, unknown: [] });
      else outcome.written.set(user, { ...written, unknown: [...written.unknown, dateOfBirth] });
      await request(user, { headers });
    }
  }

  async function request(user: string, init: RequestInit): Promise<string> {
    const sent = performance.now();
    const result = await fetch(url(`/hello/${user}`), {
      ...init,
      signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS),
    }).then(
      async (response) => {
        await response.arrayBuffer();
        return String(response.status);
      },
      (error: unknown) => `no answer: ${reason(error)}`,
    );
    outcome.counts[result] = (outcome.counts[result] ?? 0) + 1;
    outcome.slowest = Math.max(outcome.slowest, performance.now() - sent);
    return result;
  }

  const clients = Array.from({ length: CLIENTS }, (_, number) => client(number));
  return {
    async stop() {
      stopping = true;
      await Promise.all(clients);
      return outcome;
    },
  };
}

function reason(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (cause instanceof Error && 'code' in cause) return String(cause.code);
  return cause instanceof Error ? cause.name : String(cause);
}
