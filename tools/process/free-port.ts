import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * A free TCP port of 127.0.0.1. It is below the ephemeral ports of Linux and macOS, so no outgoing connection takes it
 * while its server is down.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    if (await isFree(port)) return port;
  }
}

/** Whether this process can listen on the TCP port on all addresses, as the service does. */
export async function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  const listening = once(probe, 'listening').then(
    () => true,
    () => false,
  );
  probe.listen(port);
  const free = await listening;
  if (free) await new Promise((closed) => probe.close(closed));
  return free;
}
