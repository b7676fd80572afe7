import { setTimeout as sleep } from 'node:timers/promises';
import { Load } from '../load/load.ts';
import { quantile } from '../load/quantile.ts';
import { say, step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { command } from './command.ts';

// A small load test with 9 reads per write, against LOAD_BALANCER or the service on this machine. It may run against a
// service in use: its usernames are random and of the maximum length, and it deletes them at the end.
const SLOWEST_MILLISECONDS = 500;
const USERS = 50;

await command('stress_test', [], async () => {
  const given = process.env.LOAD_BALANCER || 'http://localhost:5000';
  const url = given.includes('://') ? given : `http://${given}`;
  const [clients, duration] = [number('CONNECTIONS', 32), number('DURATION', 20)];
  const writeToken = process.env.WRITE_TOKEN || undefined;
  await requireAnswer(url);

  const settings = { urls: [url], clients, requestsPerWrite: 10, names: USERS, writeToken, lateWritesEnd: false };
  const load = new Load(settings);
  await step(`${clients} connections to ${url} for ${duration} s`, async () => {
    await sleep(duration * 1000);
    await load.stop();
  });
  const { lost } = await load.audit();
  const kept = await load.removeUsers();

  const failures = load.answers.filter(({ verdict }) => verdict !== 'ok');
  const latencies = load.answers.map(({ sent, ended }) => ended - sent).sort((one, other) => one - other);
  const p99 = Math.round(quantile(latencies, 0.99));
  say(
    `${load.answers.length - failures.length} answers, ${failures.length} failed, p99 ${p99} ms (limit ${SLOWEST_MILLISECONDS} ms)`,
  );
  const advice =
    failures.some(({ status }) => status === 401) && !writeToken
      ? '. The service has a WRITE_TOKEN: set WRITE_TOKEN to it'
      : '';
  if (failures.length > 0)
    throw new Refusal(
      `${failures.length} requests failed, such as ${failures[0]?.reason ?? failures[0]?.status}${advice}`,
    );
  if (lost.length > 0) throw new Refusal(`${lost.length} acknowledged writes are lost, such as ${lost[0]}`);
  if (kept.length > 0) throw new Refusal(`${kept.length} users of this test could not be deleted: status ${kept[0]}`);
  if (p99 > SLOWEST_MILLISECONDS) throw new Refusal(`p99 is ${p99} ms, above ${SLOWEST_MILLISECONDS} ms`);
});

/** @throws {Refusal} if the service is not ready */
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
    throw new Refusal(`${name} is ${process.env[name]}; it must be a whole number above 0`);
  return value;
}
