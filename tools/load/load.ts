import { randomInt } from 'node:crypto';
import {
  type ClientRequest,
  Agent as HttpAgent,
  type IncomingMessage,
  type RequestOptions,
  request as requestHttp,
} from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../terminal/message.ts';
import { daysUntilBirthday, Ledger } from './ledger.ts';

/**
 * `ok`: 2xx, or an expected 404. `refused`: 503 or 429 with `Retry-After`. `aborted`: no answer. `wrong`: anything
 * else, including an impossible value.
 */
export type Verdict = 'ok' | 'refused' | 'aborted' | 'wrong';

/** One request and its outcome; times are milliseconds since the load began. */
export interface Answer {
  readonly method: 'GET' | 'PUT';
  readonly sent: number;
  readonly ended: number;
  /** 0 without an answer. */
  readonly status: number;
  readonly verdict: Verdict;
  /** The reason of a wrong answer, or the connection error. */
  readonly reason: string | undefined;
  /** Its `x-request-id`; undefined without an answer. */
  readonly requestId?: string | undefined;
}

export interface LoadSettings {
  /** The base URLs, used in turn. */
  readonly urls: readonly string[];
  /** Requests per second, sent by the clock; see {@link Load}. */
  readonly rate?: number | undefined;
  /** Clients that send their next request when the previous one is answered, beside what `rate` sends; 0 by default. */
  readonly clients?: number | undefined;
  /** One in this many requests is a write; 2 by default. */
  readonly requestsPerWrite?: number | undefined;
  /** The number of usernames that all writes go to; otherwise every other write is to a new username. */
  readonly names?: number | undefined;
  /** See {@link Ledger}. */
  readonly lateWritesEnd: boolean;
  /** The WRITE_TOKEN of the service, if it has one. */
  readonly writeToken?: string | undefined;
  /** Whether half of the requests open a connection of their own; otherwise connections are kept. */
  readonly opensConnections?: boolean | undefined;
  /** The variables that name a proxy; without them connections are direct. */
  readonly proxyEnv?: NodeJS.ProcessEnv | undefined;
  /** The time after which a request counts as aborted; ten seconds by default. */
  readonly timeoutSeconds?: number | undefined;
}

export interface Audit {
  readonly checked: number;
  /** A message for each username whose value its acknowledged writes do not allow. */
  readonly lost: readonly string[];
}

const TICK_MILLISECONDS = 5;
/** After a pause of this process, overdue requests are dropped rather than sent as one burst. */
const MOST_IN_A_TICK = 50;
const TIMEOUT_SECONDS = 10;
const RECENT_NAMES = 200;
const AUDIT_CONCURRENCY = 8;
/** When the service can't answer for that long, the remaining usernames count as lost. */
const AUDIT_MILLISECONDS = 30_000;
const AUDIT_PAUSE_MILLISECONDS = 250;
const DAY_MILLISECONDS = 86_400_000;
const FIRST_BIRTHDAY = Date.UTC(1951, 0, 1);
const BIRTHDAYS = 14_000;
/** With the number of a username, at most 64 letters; so many random ones that no real user has such a name. */
const PREFIX_LETTERS = 56;

/**
 * Traffic whose answers are checked against a {@link Ledger}: half reads, half writes, each write with a date of its
 * own. `rate` is an open loop: requests are sent by the clock, not when the previous one is answered, so that an outage
 * affects as many requests as it would affect users (https://www.scylladb.com/2021/04/22/on-coordinated-omission/).
 */
export class Load {
  readonly answers: Answer[] = [];
  /** Requests per second; may be changed at any time. */
  rate: number;
  /**
   * The longest delay of this process's timer, in milliseconds. After a long delay the measurements show the state of
   * this machine, not of the service.
   */
  longestPause = 0;
  readonly #settings: LoadSettings;
  readonly #ledger: Ledger;
  readonly #began = performance.now();
  readonly #connections: Connections;
  readonly #prefix = Array.from({ length: PREFIX_LETTERS }, () => letters(randomInt(26))).join('');
  readonly #pending = new Set<Promise<void>>();
  readonly #clock: NodeJS.Timeout;
  #hasStopped = false;
  #ticked = 0;
  #due = 0;
  #sent = 0;
  #names = 0;

  constructor(settings: LoadSettings) {
    this.#settings = settings;
    this.#ledger = new Ledger(settings);
    this.#connections = new Connections(settings.proxyEnv);
    this.rate = settings.rate ?? 0;
    this.#clock = setInterval(() => this.#tick(), TICK_MILLISECONDS);
    for (let client = 0; client < (settings.clients ?? 0); client += 1) this.#track(this.#client());
  }

  /** Milliseconds since the load began. */
  now(): number {
    return performance.now() - this.#began;
  }

  /** The usernames that were written. */
  get names(): string[] {
    return this.#ledger.names;
  }

  /** Sends nothing more; resolves when every request has its answer. */
  async stop(): Promise<void> {
    this.#hasStopped = true;
    clearInterval(this.#clock);
    await Promise.all(this.#pending);
  }

  /** Reads back every username that was written and compares it with what was acknowledged. */
  async audit(): Promise<Audit> {
    const { names } = this;
    const lost: string[] = [];
    const deadline = this.now() + AUDIT_MILLISECONDS;
    await this.#each(names, async (name) => {
      const reason = await this.#readBack(name, deadline);
      if (reason !== undefined) lost.push(reason);
    });
    return { checked: names.length, lost };
  }

  /** Deletes the users of this load. Returns the statuses of failed deletions; 0 without an answer. */
  async removeUsers(): Promise<number[]> {
    const failures: number[] = [];
    await this.#each(this.names, async (name) => {
      const { status } = await this.#ask('DELETE', `${this.#settings.urls[0]}/hello/${name}`);
      if (status !== 204 && status !== 404) failures.push(status);
    });
    return failures;
  }

  /** Runs an action for each of the usernames, a few at a time. */
  async #each(names: readonly string[], action: (name: string) => Promise<void>): Promise<void> {
    const remaining = names.values();
    const worker = async () => {
      for (const name of remaining) await action(name);
    };
    await Promise.all(Array.from({ length: AUDIT_CONCURRENCY }, worker));
    this.#connections.close();
  }

  #tick(): void {
    const now = this.now();
    const elapsed = now - this.#ticked;
    this.longestPause = Math.max(this.longestPause, elapsed - TICK_MILLISECONDS);
    this.#due += (elapsed / 1000) * this.rate;
    this.#ticked = now;
    const count = Math.min(Math.floor(this.#due), MOST_IN_A_TICK);
    this.#due -= Math.floor(this.#due);
    for (let n = 0; n < count; n += 1) this.#track(this.#next());
  }

  #track(request: Promise<void>): void {
    const tracked = request.finally(() => this.#pending.delete(tracked));
    this.#pending.add(tracked);
  }

  async #client(): Promise<void> {
    while (!this.#hasStopped) await this.#next();
  }

  async #next(): Promise<void> {
    const { urls, requestsPerWrite = 2 } = this.#settings;
    const number = this.#sent;
    this.#sent += 1;
    const writes = Math.floor(number / requestsPerWrite);
    const url = urls[writes % urls.length] ?? '';
    if (number % requestsPerWrite === 0) await this.#write(url, this.#nameToWrite(writes));
    else await this.#read(url, this.#recentName());
  }

  #nameToWrite(writes: number): string {
    const { names } = this.#settings;
    if (names !== undefined) {
      this.#names = names;
      return this.#name(randomInt(names));
    }
    if (writes % 2 !== 0) return this.#recentName();
    this.#names += 1;
    return this.#name(this.#names - 1);
  }

  #recentName(): string {
    return this.#name(Math.max(0, this.#names - 1) - randomInt(Math.min(RECENT_NAMES, Math.max(1, this.#names))));
  }

  #name(number: number): string {
    return `${this.#prefix}${letters(number)}`;
  }

  async #write(url: string, name: string): Promise<void> {
    const birthday = FIRST_BIRTHDAY + ((this.#sent * 7_919) % BIRTHDAYS) * DAY_MILLISECONDS;
    const date = new Date(birthday).toISOString().slice(0, 10);
    const sent = this.now();
    const end = this.#ledger.begin(name, date, sent);
    const answer = await this.#ask('PUT', `${url}/hello/${name}`, JSON.stringify({ dateOfBirth: date }));
    const ended = this.now();
    end(answer.status === 204, ended);
    this.#add('PUT', sent, ended, answer, answer.status === 204 ? undefined : `PUT got ${answer.status}`);
  }

  async #read(url: string, name: string): Promise<void> {
    const sent = this.now();
    const answer = await this.#ask('GET', `${url}/hello/${name}`);
    const ended = this.now();
    this.#add('GET', sent, ended, answer, this.#mistake(name, answer, sent, ended));
  }

  #add(method: 'GET' | 'PUT', sent: number, ended: number, answer: Received, mistake: string | undefined): void {
    const { status, retryAfter, requestId, failure } = answer;
    let verdict: Verdict = mistake === undefined ? 'ok' : 'wrong';
    if (status === 0) verdict = 'aborted';
    if (status === 503 || status === 429) verdict = /^\d+$/.test(retryAfter ?? '') ? 'refused' : 'wrong';
    const reason = verdict === 'ok' ? undefined : (failure ?? mistake);
    this.answers.push({ method, sent, ended, status, verdict, reason, requestId });
  }

  /** The error in the answer to a read; undefined if it is correct. */
  #mistake(name: string, answer: Received, sent: number, ended: number): string | undefined {
    const possible = this.#ledger.possible(name, sent, ended);
    if (answer.status === 404) return possible.has(undefined) ? undefined : `404 for ${name}, which was acknowledged`;
    if (answer.status !== 200) return `GET got ${answer.status}`;
    const days = daysIn(answer.body, name);
    for (const today of answer.days) {
      for (const date of possible) {
        if (date !== undefined && daysUntilBirthday(date, today) === days) return undefined;
      }
    }
    return `${name} should have ${[...possible].join(' or ')}; the answer was ${answer.body}`;
  }

  /** The error in the stored value of `name`; undefined if it is correct. Retries until the deadline. */
  async #readBack(name: string, deadline: number): Promise<string | undefined> {
    let mistake: string | undefined = `${name} could not be read`;
    while (this.now() < deadline) {
      const sent = this.now();
      const answer = await this.#ask('GET', `${this.#settings.urls[0]}/hello/${name}`);
      mistake = this.#mistake(name, answer, sent, this.now());
      if (answer.status === 200 || answer.status === 404) return mistake;
      await sleep(AUDIT_PAUSE_MILLISECONDS);
    }
    return mistake;
  }

  #ask(method: 'GET' | 'PUT' | 'DELETE', url: string, body?: string): Promise<Received> {
    const { timeoutSeconds = TIMEOUT_SECONDS, writeToken, opensConnections = false } = this.#settings;
    const isKept = !opensConnections || this.#sent % 4 < 2;
    return new Promise((resolve) => {
      const abort = (error: unknown) =>
        resolve({ status: 0, body: '', retryAfter: undefined, requestId: undefined, days: [], failure: codeOf(error) });
      const outgoing = this.#connections.request(url, isKept, {
        method,
        timeout: timeoutSeconds * 1000,
        headers: {
          ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': body.length }),
          ...(writeToken === undefined || method === 'GET' ? {} : { authorization: `Bearer ${writeToken}` }),
        },
      });
      outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${timeoutSeconds} s`)));
      outgoing.on('error', abort);
      outgoing.on('response', (response) => receive(response).then(resolve, abort));
      outgoing.end(body);
    });
  }
}

/** Connections over HTTP and HTTPS. */
class Connections {
  readonly #http;
  readonly #https;

  constructor(proxyEnv: NodeJS.ProcessEnv | undefined) {
    const options = { keepAlive: true, scheduling: 'fifo', proxyEnv } as const;
    this.#http = new HttpAgent(options);
    this.#https = new HttpsAgent(options);
  }

  /** Sends a request on a kept-alive connection, or on a new one. */
  request(url: string, isKept: boolean, options: RequestOptions): ClientRequest {
    return url.startsWith('https:')
      ? requestHttps(url, { ...options, agent: isKept && this.#https })
      : requestHttp(url, { ...options, agent: isKept && this.#http });
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }
}

interface Received {
  readonly status: number;
  readonly body: string;
  readonly retryAfter: string | undefined;
  readonly requestId: string | undefined;
  /** The possible dates at the service: the date of its answer, plus or minus a second. */
  readonly days: readonly Date[];
  readonly failure: string | undefined;
}

async function receive(response: IncomingMessage): Promise<Received> {
  let body = '';
  for await (const chunk of response.setEncoding('utf8')) body += chunk;
  const date = Date.parse(response.headers.date ?? '');
  return {
    status: response.statusCode ?? 0,
    body,
    retryAfter: response.headers['retry-after'],
    requestId: response.headers['x-request-id']?.toString(),
    days: [date, date - 1_000, date + 1_000].map((moment) => new Date(moment)),
    failure: undefined,
  };
}

/** The number of days in a greeting; undefined for another text or another user. */
function daysIn(body: string, name: string): number | undefined {
  const [, greeted, days] =
    /^\{"message":"Hello, (\w+)! (?:Happy birthday!|Your birthday is in (\d+) day\(s\))"\}$/.exec(body) ?? [];
  if (greeted !== name) return undefined;
  return days === undefined ? 0 : Number(days);
}

function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error) return String(error.code);
  return messageOf(error);
}

/** The number in letters, as a username can have it: 0 is `a`, 26 is `ba`. */
function letters(number: number): string {
  return [...number.toString(26)].map((digit) => String.fromCharCode(97 + Number.parseInt(digit, 26))).join('');
}
