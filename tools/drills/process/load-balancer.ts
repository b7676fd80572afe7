import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Service } from '../../process/service.ts';

/** A minimal TCP load balancer: new connections go to processes whose last `/readyz` was 200. */
export interface LoadBalancer {
  readonly url: string;
  add(service: Service): Promise<void>;
  close(): void;
}

const CHECK_MILLISECONDS = 250;

/** Starts a load balancer without targets. A process that ends is removed. */
export async function startLoadBalancer(): Promise<LoadBalancer> {
  const ready = new Map<Service, boolean>();
  const sockets = new Set<Socket>();
  let turn = 0;

  const server = createServer((client) => {
    const open = [...ready].filter(([, isReady]) => isReady).map(([service]) => service);
    turn += 1;
    const service = open[turn % open.length];
    if (service === undefined) return client.destroy();
    const backend = connect(Number(new URL(service.url).port), '127.0.0.1');
    for (const [socket, other] of [
      [client, backend],
      [backend, client],
    ] as const) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => other.destroy());
      socket.once('close', () => sockets.delete(socket));
      socket.pipe(other);
    }
  });

  async function check(service: Service): Promise<void> {
    const answer = await fetch(`${service.url}/readyz`, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined);
    await answer?.arrayBuffer();
    if (ready.has(service)) ready.set(service, answer?.status === 200);
  }
  const checking = setInterval(() => [...ready.keys()].map(check), CHECK_MILLISECONDS);

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async add(service) {
      ready.set(service, false);
      service.exited.then(() => ready.delete(service));
      await check(service);
    },
    close() {
      clearInterval(checking);
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
