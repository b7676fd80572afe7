import { once } from 'node:events';
import { createServer } from 'node:net';
import { output, Refusal } from './terminal.ts';

/** Throws a Refusal that names who listens on that port of this machine, if someone does. */
export async function requireFreePort(port: number): Promise<void> {
  // A listener on all addresses leaves 127.0.0.1 free on some systems, and would answer there for us.
  for (const address of ['127.0.0.1', '::']) {
    const server = createServer();
    try {
      await once(server.listen({ port, host: address, exclusive: true }), 'listening');
      await new Promise((closed) => server.close(closed));
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'EADDRINUSE') throw new Refusal(await inUse(port));
      if (code === 'EACCES')
        throw new Refusal(`port ${port} is not ours to open: take one above 1023, make up PORT=5001`);
      // A machine without IPv6.
      if (code !== 'EADDRNOTAVAIL' && code !== 'EAFNOSUPPORT') throw error;
    }
  }
}

async function inUse(port: number): Promise<string> {
  return `port ${port} is in use by ${await holder(port)}\nEnd that, or take another port: make up PORT=${port + 1}`;
}

async function holder(port: number): Promise<string> {
  const container = await output('docker', ['ps', '--filter', `publish=${port}`, '--format', '{{.Names}}']);
  if (container !== '') return `the container ${container.split('\n').join(', ')} (docker stop it, or make down)`;
  // ss comes with Linux, lsof with macOS; both show strangers' processes to root only.
  for (const [program, ...args] of [
    ['lsof', '-nP', '-sTCP:LISTEN', `-iTCP:${port}`, '-Fpc'],
    ['ss', '-Hltnp', `sport = :${port}`],
  ] as const) {
    const listing = await output(program, args).catch(() => '');
    const [, pid, name] = /p(\d+)\nc(.+)/.exec(listing) ?? [];
    if (pid) return `${name} (process ${pid})`;
    const [, command, id] = /users:\(\("([^"]+)",pid=(\d+)/.exec(listing) ?? [];
    if (id) return `${command} (process ${id})`;
  }
  return `another user's process (sudo lsof -i :${port} names it)`;
}
