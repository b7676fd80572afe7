import { connect, type Socket } from 'node:net';

/** Clients that misbehave until they are stopped. */
export interface HostileClients {
  /** How many of their connections the service has closed. */
  readonly ended: number;
  readonly opened: number;
  stop(): void;
}

const PIECE_MILLISECONDS = 2_000;
/** Opened in steps, so that the service is busy and not this process. */
const OPENED_AT_ONCE = 50;
const OPENING_MILLISECONDS = 50;
/** A little less than the limit of a body. */
const BODY_BYTES = 16_000;

/** Slowloris: `count` connections that send headers without end, one every two seconds. */
export function sendEndlessHeads(port: number, count: number): HostileClients {
  return hold(port, count, `GET /hello/slow HTTP/1.1\r\nHost: drill\r\n`, 'X-More: 1\r\n');
}

/** `count` connections that announce a body, send most of it, and then a byte every two seconds. */
export function sendEndlessBodies(port: number, count: number): HostileClients {
  const head = `PUT /hello/slow HTTP/1.1\r\nHost: drill\r\nContent-Type: application/json\r\nContent-Length: 16384\r\n\r\n`;
  return hold(port, count, head + ' '.repeat(BODY_BYTES), ' ');
}

/** `count` connections that are opened, send nothing and are never closed. */
export function openIdle(port: number, count: number): HostileClients {
  return hold(port, count, '', '');
}

/** Sends `rate` requests per second, and closes each connection before the answer can have arrived. */
export function disconnect(port: number, rate: number): HostileClients {
  let opened = 0;
  const body = '{"dateOfBirth": "1990-01-01"}';
  const requests = [
    'GET /hello/somebody HTTP/1.1\r\nHost: drill\r\n\r\n',
    `PUT /hello/somebody HTTP/1.1\r\nHost: drill\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    // In the middle of its body.
    `PUT /hello/somebody HTTP/1.1\r\nHost: drill\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n{"da`,
  ];
  const sending = setInterval(() => {
    const socket = connect(port, '127.0.0.1');
    const text = requests[opened % requests.length] ?? '';
    opened += 1;
    socket.on('error', () => {});
    // Half of them with RST, half with FIN.
    socket.once('connect', () =>
      socket.write(text, () => (opened % 2 === 0 ? socket.resetAndDestroy() : socket.destroy())),
    );
  }, 1000 / rate);
  return {
    ended: 0,
    get opened() {
      return opened;
    },
    stop: () => clearInterval(sending),
  };
}

function hold(port: number, count: number, first: string, piece: string): HostileClients {
  const sockets = new Set<Socket>();
  let ended = 0;
  let opened = 0;
  const opening = setInterval(() => {
    for (let n = 0; n < OPENED_AT_ONCE && opened < count; n += 1) open();
  }, OPENING_MILLISECONDS);
  function open(): void {
    opened += 1;
    const socket = connect(port, '127.0.0.1', () => {
      if (first !== '') socket.write(first);
    });
    sockets.add(socket);
    // Read, so that the end is noticed.
    socket.resume();
    socket.on('error', () => {});
    socket.once('close', () => {
      ended += 1;
      sockets.delete(socket);
    });
  }
  const sending = setInterval(() => {
    if (piece !== '') for (const socket of sockets) if (socket.writable) socket.write(piece);
  }, PIECE_MILLISECONDS);
  return {
    get ended() {
      return ended;
    },
    get opened() {
      return opened;
    },
    stop() {
      clearInterval(opening);
      clearInterval(sending);
      for (const socket of sockets) {
        socket.removeAllListeners('close');
        socket.destroy();
      }
    },
  };
}
