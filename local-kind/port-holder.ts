import { once } from 'node:events';
import { createServer } from 'node:net';
import { output } from '../tools/terminal/programs.ts';
import { Refusal } from '../tools/terminal/refusal.ts';

/** The process or container that listens on a port. */
export interface Holder {
  /** A description for the user. */
  readonly name: string;
  /** The command that stops it, or shows more about it. */
  readonly remedy: string;
  /** The names of the containers that publish it. */
  readonly containers: readonly string[];
  /** Whether it is the service of `make dev`. */
  readonly isService: boolean;
}

const portOfMake = (free: number) => `make up PORT=${free}`;

/** Throws a Refusal with the process that listens on that port of this machine, if there is one. */
export async function requireFreePort(port: number, otherPort = portOfMake): Promise<void> {
  const holder = await holderOf(port, otherPort);
  if (holder)
    throw new Refusal(
      `port ${port} is in use by ${holder.name}\nStop it (${holder.remedy}), or use another port: ${otherPort(port + 1)}`,
    );
}

/** The process that listens on that port of this machine, or undefined. Throws a Refusal if the port needs privileges. */
export async function holderOf(port: number, otherPort = portOfMake): Promise<Holder | undefined> {
  // On some systems 127.0.0.1 is free while another process listens on all addresses and would answer instead.
  for (const address of ['127.0.0.1', '::']) {
    const server = createServer();
    try {
      await once(server.listen({ port, host: address, exclusive: true }), 'listening');
      await new Promise((closed) => server.close(closed));
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'EADDRINUSE') return await describe(port);
      if (code === 'EACCES')
        throw new Refusal(`port ${port} needs root privileges; use one above 1023: ${otherPort(5001)}`);
      // A machine without IPv6.
      if (code !== 'EADDRNOTAVAIL' && code !== 'EAFNOSUPPORT') throw error;
    }
  }
  return undefined;
}

async function describe(port: number): Promise<Holder> {
  const publish = ['ps', '--filter', `publish=${port}`, '--format', '{{.Names}}'];
  const containers = (await output('docker', publish).catch(() => '')).split('\n').filter((name) => name !== '');
  if (containers.length > 0) {
    const [name, remedy] = [`the container ${containers.join(', ')}`, `docker stop ${containers.join(' ')}`];
    return { name, remedy, containers, isService: false };
  }
  const holder = await processOn(port);
  if (!holder) {
    return { name: "another user's process", remedy: `sudo lsof -i :${port} names it`, containers, isService: false };
  }
  const command = await output('ps', ['-o', 'args=', '-p', holder.id]).catch(() => '');
  const isService = command.endsWith('src/main.ts serve');
  const name = `${isService ? 'make dev' : holder.program} (process ${holder.id})`;
  return { name, remedy: `kill ${holder.id}`, containers, isService };
}

async function processOn(port: number): Promise<{ program: string; id: string } | undefined> {
  // ss comes with Linux, lsof with macOS; both show the processes of other users only to root.
  for (const [program, ...args] of [
    ['lsof', '-nP', '-sTCP:LISTEN', `-iTCP:${port}`, '-Fpc'],
    ['ss', '-Hltnp', `sport = :${port}`],
  ] as const) {
    const listing = await output(program, args).catch(() => '');
    const [, pid, name] = /p(\d+)\nc(.+)/.exec(listing) ?? [];
    if (pid && name) return { program: name, id: pid };
    const [, command, id] = /users:\(\("([^"]+)",pid=(\d+)/.exec(listing) ?? [];
    if (command && id) return { program: command, id };
  }
  return undefined;
}
