import { randomBytes } from 'node:crypto';
import autocannon from 'autocannon';
import { say, step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { command } from './command.ts';

// A small load test: readers and writers in the ratio 9 : 1, against LOAD_BALANCER or the service on this machine. It may
// run against a service in use: its usernames are random and as long as one may be, and are deleted at the end.
const SLOWEST_MILLISECONDS = 500;
const LONGEST_USERNAME = 64;
const users = Array.from({ length: 50 }, randomUsername);
const { WRITE_TOKEN } = process.env;
const authorization: Record<string, string> = WRITE_TOKEN ? { authorization: `Bearer ${WRITE_TOKEN}` } : {};

await command('stress_test', [], async () => {
  const given = process.env.LOAD_BALANCER || 'http://localhost:5000';
  const url = given.includes('://') ? given : `http://${given}`;
  const [connections, duration] = [number('CONNECTIONS', 32), number('DURATION', 20)];
  await requireAnswer(url);

  const put = (user: string, i: number) => ({
    method: 'PUT' as const,
    path: `/hello/${user}`,
    headers: { 'content-type': 'application/json', ...authorization },
    body: JSON.stringify({ dateOfBirth: `19${10 + i}-05-17` }),
  });
  const requests = users.flatMap((user, i) => [
    put(user, i),
    ...Array.from({ length: 9 }, () => ({ method: 'GET' as const, path: `/hello/${user}` })),
  ]);
  const options = {
    url,
    connections,
    duration,
    timeout: 10,
    requests,
    // Every connection begins somewhere else in the list.
    setupClient: (client: autocannon.Client) => {
      const start = Math.floor(Math.random() * users.length) * 10;
      client.setRequests([...requests.slice(start), ...requests.slice(0, start)]);
    },
  } satisfies autocannon.Options;
  const result = await step(`${connections} connections to ${url} for ${duration} s`, () => autocannon(options));
  await removeUsers(url);

  const failed = result.non2xx + result.errors + result.timeouts;
  say(`${result['2xx']} answers, ${failed} failed, p99 ${result.latency.p99} ms (limit ${SLOWEST_MILLISECONDS} ms)`);
  if (failed > 0)
    throw new Refusal(
      `${failed} requests failed: ${result.non2xx} by status, ${result.timeouts} by timeout, ${result.errors} by connection`,
    );
  if (result.latency.p99 > SLOWEST_MILLISECONDS)
    throw new Refusal(`p99 is ${result.latency.p99} ms, above ${SLOWEST_MILLISECONDS} ms`);
});

/** Throws Refusal when nothing ready is there. */
async function requireAnswer(url: string): Promise<void> {
  const problem = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(10_000) }).then(
    ({ ok, status }) => (ok ? undefined : `answers /readyz with ${status}`),
    (error: Error) => `doesn't answer: ${error.cause instanceof Error ? error.cause.message : error.message}`,
  );
  if (problem) throw new Refusal(`${url} ${problem}. Start it (make dev, make up) or name another: LOAD_BALANCER=…`);
}

function number(name: string, otherwise: number): number {
  const value = Number(process.env[name] || otherwise);
  if (!Number.isInteger(value) || value < 1)
    throw new Refusal(`${name}=${process.env[name]} is no whole number above 0`);
  return value;
}

/** Deletes the users of this run. Throws Refusal when some are still there. */
async function removeUsers(url: string): Promise<void> {
  const answers = await Promise.all(
    users.map((user) => fetch(`${url}/hello/${user}`, { method: 'DELETE', headers: authorization })),
  );
  const kept = answers.filter(({ status }) => status !== 204 && status !== 404);
  const [first] = kept;
  if (first === undefined) return;
  const advice = first.status === 401 ? '. The service has a WRITE_TOKEN: set WRITE_TOKEN to it' : '';
  throw new Refusal(`${kept.length} users of this test could not be deleted: status ${first.status}${advice}`);
}

function randomUsername(): string {
  return Array.from(randomBytes(LONGEST_USERNAME), (byte) => String.fromCharCode(97 + (byte % 26))).join('');
}
