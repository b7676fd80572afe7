import { request } from 'node:http';
import { connect } from 'node:net';

/** A response and its duration. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
  readonly milliseconds: number;
}

/** Sends a request and waits at most ten seconds for the response. */
export async function send(method: string, url: string, json?: object): Promise<Answer> {
  const from = performance.now();
  const response = await fetch(url, {
    method,
    signal: AbortSignal.timeout(10_000),
    ...(json === undefined ? {} : { body: JSON.stringify(json), headers: { 'Content-Type': 'application/json' } }),
  });
  const body = await response.text();
  return { status: response.status, headers: response.headers, body, milliseconds: performance.now() - from };
}

export async function save(url: string, username: string, dateOfBirth: string): Promise<Answer> {
  return await send('PUT', `${url}/hello/${username}`, { dateOfBirth });
}

export async function find(url: string, username: string): Promise<Answer> {
  return await send('GET', `${url}/hello/${username}`);
}

/** The number in letters, for a username: 0 is `a`, 26 is `ba`. */
export function letters(number: number): string {
  return [...number.toString(26)].map((digit) => String.fromCharCode(97 + Number.parseInt(digit, 26))).join('');
}

/** Whether a TCP connection to the service is refused. */
export async function isRefused(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return await new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', () => resolve(true));
  });
}

/** A PUT whose body is sent half: it is pending until `finish`, which returns the status of the response. */
export async function beginSaving(
  url: string,
  username: string,
  dateOfBirth: string,
): Promise<{ finish(): Promise<number> }> {
  const body = JSON.stringify({ dateOfBirth });
  const outgoing = request(`${url}/hello/${username}`, {
    method: 'PUT',
    headers: { 'Content-Type': 'application/json', 'Content-Length': body.length, Expect: '100-continue' },
  });
  const answered = new Promise<number>((resolve, reject) => {
    outgoing.once('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    outgoing.once('error', reject);
  });
  // `finish` reports the failure; some tests never call it.
  answered.catch(() => {});
  // The server sends "100 Continue" when it has started to process the request.
  await new Promise((resolve, reject) => {
    outgoing.once('continue', resolve);
    outgoing.once('error', reject);
    outgoing.flushHeaders();
  });
  outgoing.write(body.slice(0, 5));
  return {
    async finish() {
      outgoing.end(body.slice(5));
      return await answered;
    },
  };
}
