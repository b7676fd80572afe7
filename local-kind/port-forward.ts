import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { NotReady } from './wait-for-rollout.ts';

/** Forwards a port of this machine to one of a Service, such as `service/ssm`, until `end`. */
export async function portForward(
  connection: readonly string[],
  namespace: string,
  target: string,
  port: number,
): Promise<{ url: string; end(): void }> {
  const forward = ['port-forward', '-n', namespace, target, `:${port}`];
  const child = spawn('kubectl', [...connection, ...forward], { stdio: ['ignore', 'pipe', 'pipe'] });
  const end = () => child.kill();
  // An interrupted command must leave no process.
  process.once('exit', end);
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const [line] = await Promise.race([
    once(createInterface({ input: child.stdout }), 'line'),
    once(child, 'exit').then(() => ['']),
  ]);
  const [, local] = /^Forwarding from 127\.0\.0\.1:(\d+)/.exec(String(line)) ?? [];
  if (local === undefined) throw new NotReady(`kubectl ${forward.join(' ')} cannot connect to ${target}: ${said}`);
  return { url: `http://127.0.0.1:${local}`, end };
}
