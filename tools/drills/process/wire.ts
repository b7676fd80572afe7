import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Transform } from 'node:stream';

/** A network between the service and its database that can be made bad, without any rights on the machine. */
export interface Wire {
  readonly port: number;
  /** From now on every byte arrives that many milliseconds later, each way. */
  slowDown(milliseconds: number): void;
  /**
   * From now on nothing arrives and nobody is told, as when packets are dropped. What was sent meanwhile arrives when
   * `restore` ends it, as TCP's retransmission has it.
   */
  drop(): void;
  restore(): void;
  /** As `restore`, but for new connections only; the others stay silent until `restore`. */
  failOver(): void;
  close(): void;
}

/** One connection over the wire, both ends of it. */
interface Connection {
  readonly ends: readonly [near: Socket, far: Socket];
  isLost: boolean;
}

/** A wire to that port of 127.0.0.1; good at first. */
export async function layWire(port: number): Promise<Wire> {
  let delay = 0;
  let dropping = false;
  let held: { readonly connection: Connection; go(): void }[] = [];
  const connections = new Set<Connection>();

  /** Comes back when what was sent now arrives; never, when it is lost. */
  async function passage(connection: Connection): Promise<void> {
    if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
    if (connection.isLost || dropping) await new Promise<void>((go) => held.push({ connection, go }));
  }

  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const connection: Connection = { ends: [near, far], isLost: false };
    connections.add(connection);
    for (const socket of connection.ends) {
      socket.setNoDelay(true);
      // What broke one end is told to the other by its closing, if the wire lets that pass.
      socket.on('error', () => {});
    }
    join(connection, near, far);
    join(connection, far, near);
  });

  function join(connection: Connection, from: Socket, to: Socket): void {
    from.pipe(late(connection)).pipe(to);
    from.once('close', async () => {
      await passage(connection);
      // After what was sent before the end.
      setImmediate(() => to.destroySoon());
      connections.delete(connection);
    });
  }

  /** Keeps the order, and lets pieces that are on their way together be on their way together. */
  function late(connection: Connection): Transform {
    let last = Promise.resolve();
    return new Transform({
      highWaterMark: 1024 * 1024,
      transform(chunk, _encoding, done) {
        const arrived = passage(connection);
        last = last.then(() => arrived).then(() => void this.push(chunk));
        done();
      },
      flush(done) {
        const arrived = passage(connection);
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
