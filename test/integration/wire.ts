import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type Answer, checkContract } from './contract.ts';
import { serviceUnderTest } from './service.ts';

const QUIET_MILLISECONDS = 5_000;

/**
 * Sends these bytes and returns the received text until the service closes the connection; empty if it only closes. For
 * requests that fetch refuses to send.
 */
export async function say(bytes: string | Uint8Array): Promise<string> {
  const socket = await open();
  const chunks: Buffer[] = [];
  return await new Promise((resolve, reject) => {
    socket.setTimeout(QUIET_MILLISECONDS, () => {
      socket.destroy();
      reject(
        new Error(`no answer and no end after ${QUIET_MILLISECONDS} ms: ${Buffer.concat(chunks).toString('latin1')}`),
      );
    });
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', () => {});
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
    socket.write(bytes);
  });
}

/** The last response in the received text, checked against the contract as one to GET on an unknown path. */
export async function answerIn(wire: string): Promise<Answer> {
  const start = wire.lastIndexOf('HTTP/1.1 ');
  const [head = '', ...rest] = wire.slice(start).split('\r\n\r\n');
  const [line = '', ...fields] = head.split('\r\n');
  const headers = new Headers();
  for (const field of fields)
    headers.append(field.slice(0, field.indexOf(':')), field.slice(field.indexOf(':') + 1).trim());
  const answer = { status: Number(line.split(' ')[1]), headers, text: rest.join('\r\n\r\n') };
  if (answer.status >= 400) await checkContract('GET', '/unknown', answer);
  return answer;
}

async function open(): Promise<Socket> {
  const { protocol, hostname, port } = new URL((await serviceUnderTest()).url);
  const host = hostname.replace(/^\[|\]$/g, '');
  return protocol === 'https:'
    ? connectTls({ host, servername: host, port: Number(port || 443) })
    : connectTcp({ host, port: Number(port || 80) });
}
