import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Transform } from 'node:stream';

/** A TCP proxy between the service and its database that injects network faults; needs no privileges. */
export interface FaultProxy {
  readonly port: number;
  /** From now on every byte arrives that many milliseconds later, in each direction. */
  slowDown(milliseconds: number): void;
  /**
   * From now on nothing arrives and no connection fails, as when packets are dropped. What was sent meanwhile arrives
   * after `restore`, as with TCP's retransmission.
   */
  drop(): void;
  restore(): void;
  /** Like `restore`, but for new connections only; nothing arrives on the others until `restore`. */
  failOver(): void;
  close(): void;
}

/** One connection through the proxy, with both ends. */
interface Connection {
  readonly ends: readonly [near: Socket, far: Socket];
  isLost: boolean;
}

/** Starts a proxy to a port of 127.0.0.1, without faults at first. */
export async function startFaultProxy(port: number): Promise<FaultProxy> {
  let delay = 0;
  let dropping = false;
  let held: { readonly connection: Connection; go(): void }[] = [];
  const connections = new Set<Connection>();

  /** Resolves when what is sent now arrives; never, when it is lost. */
  async function transit(connection: Connection): Promise<void> {
    if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
    if (connection.isLost || dropping) await new Promise<void>((go) => held.push({ connection, go }));
  }

  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const connection: Connection = { ends: [near, far], isLost: false };
    connections.add(connection);
    for (const socket of connection.ends) {
      socket.setNoDelay(true);
      // An error of one end reaches the other as a close, if the proxy passes it on.
      socket.on('error', () => {});
    }
    forward(connection, near, far);
    forward(connection, far, near);
  });

  function forward(connection: Connection, from: Socket, to: Socket): void {
    from.pipe(delayed(connection)).pipe(to);
    from.once('close', async () => {
      await transit(connection);
      // After what was sent before the end.
      setImmediate(() => to.destroySoon());
      connections.delete(connection);
    });
  }

  /** Delays chunks independently of each other, and keeps their order. */
  function delayed(connection: Connection): Transform {
    let last = Promise.resolve();
    return new Transform({
      highWaterMark: 1024 * 1024,
      transform(chunk, _encoding, done) {
        const arrived = transit(connection);
        last = last.then(() => arrived).then(() => void this.push(chunk));
        done();
      },
      flush(done) {
        const arrived = transit(connection);
        last.then(() => arrived).then(() => done());
      },
    });
  }

  function endAllFaults(): void {
    delay = 0;
    dropping = false;
    const arriving = held.filter(({ connection }) => !connection.isLost);
    held = held.filter(({ connection }) => connection.isLost);
    for (const { go } of arriving) go();
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  return {
    port: address.port,
    slowDown(milliseconds) {
      delay = milliseconds;
    },
    drop() {
      dropping = true;
    },
    restore() {
      for (const connection of connections) connection.isLost = false;
      endAllFaults();
    },
    failOver() {
      for (const connection of connections) connection.isLost = true;
      endAllFaults();
    },
    close() {
      server.close();
      for (const { ends } of connections) for (const socket of ends) socket.destroy();
    },
  };
}
