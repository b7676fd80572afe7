import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Transform } from 'node:stream';
import { Transform as TransformStream } from 'node:stream';

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
  close(): void;
}

/** A wire to that port of 127.0.0.1; good at first. */
export async function layWire(port: number): Promise<Wire> {
  let delay = 0;
  let dropping = false;
  const held = new Set<() => void>();
  const sockets = new Set<Socket>();

  /** Comes back when a piece that was sent now arrives. */
  async function passage(): Promise<void> {
    if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
    if (dropping) await new Promise<void>((resolve) => held.add(resolve));
  }

  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.once('close', () => sockets.delete(socket));
      // The other side is told, as a broken network would not; a dropped wire tells nobody.
      socket.on('error', () => {});
    }
    join(near, far);
    join(far, near);
  });

  function join(from: Socket, to: Socket): void {
    from.pipe(late()).pipe(to);
    from.once('close', () => passage().then(() => to.destroy()));
  }

  /** Keeps the order, and lets pieces that are on their way together be on their way together. */
  function late(): Transform {
    let last = Promise.resolve();
    return new TransformStream({
      highWaterMark: 1024 * 1024,
      transform(chunk, _encoding, done) {
        const arrived = passage();
        last = last.then(() => arrived).then(() => void this.push(chunk));
        done();
      },
      flush(done) {
        const arrived = passage();
        last.then(() => arrived).then(() => done());
      },
    });
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
      delay = 0;
      dropping = false;
      for (const go of held) go();
      held.clear();
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
