import { randomInt } from 'node:crypto';
import { Agent, type IncomingMessage, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { daysUntilBirthday, Ledger } from './ledger.ts';

/**
 * `right`: 2xx, or the 404 that is due. `refused`: 503 or 429 with `Retry-After`. `cut`: no answer at all.
 * `wrong`: anything else, a value that cannot be right included.
 */
export type Verdict = 'right' | 'refused' | 'cut' | 'wrong';

/** One request and what came of it; times are milliseconds since the load began. */
export interface Answer {
  readonly method: 'GET' | 'PUT';
  readonly sent: number;
  readonly ended: number;
  /** 0 without an answer. */
  readonly status: number;
  readonly verdict: Verdict;
  /** What was wrong, or how the connection broke. */
  readonly reason: string | undefined;
}

export interface LoadSettings {
  /** Requests a second. */
  readonly rate: number;
  /** Where to send them, in turn. */
  readonly urls: readonly string[];
  /** All writes go to this many names; otherwise every other write is to a new name. */
  readonly names?: number | undefined;
  /** See {@link Ledger}. */
  readonly lateWritesEnd: boolean;
  /** The variables that name a proxy to go through; without them it is the direct way. */
  readonly proxyEnv?: NodeJS.ProcessEnv | undefined;
  /** How long a request may take before it counts as cut; ten seconds, unless something else is given. */
  readonly patienceSeconds?: number | undefined;
}

export interface Audit {
  readonly checked: number;
  /** Names whose value is not one that their acknowledged writes allow. */
  readonly lost: readonly string[];
}

const TICK_MILLISECONDS = 5;
/** After a pause of this process: what is overdue is dropped rather than sent as one burst. */
const MOST_IN_A_TICK = 50;
const PATIENCE_SECONDS = 10;
const RECENT_NAMES = 200;
const AUDIT_LINES = 8;
/** When the service is not able to answer for that long, what is left counts as lost. */
const AUDIT_MILLISECONDS = 30_000;
const AUDIT_PAUSE_MILLISECONDS = 250;
const DAY_MILLISECONDS = 86_400_000;
const FIRST_BIRTHDAY = Date.UTC(1951, 0, 1);
const BIRTHDAYS = 14_000;

/**
 * Steady traffic through the front door: half reads, half writes, each write a date of its own. Requests are sent by
 * the clock, not when the one before is answered, so that a standstill is seen by as many as it would hurt.
 */
export class Load {
  readonly answers: Answer[] = [];
  /** Requests a second; may be changed at any time. */
  rate: number;
  readonly #settings: LoadSettings;
  readonly #ledger: Ledger;
  readonly #began = performance.now();
  readonly #agent: Agent;
  readonly #prefix = `drill${letters(randomInt(26 ** 6))}`;
  readonly #underWay = new Set<Promise<void>>();
  readonly #ticking: NodeJS.Timeout;
  #ticked = 0;
  #due = 0;
  #sent = 0;
  #names = 0;

  constructor(settings: LoadSettings) {
    this.#settings = settings;
    this.#ledger = new Ledger(settings);
    this.#agent = new Agent({ keepAlive: true, scheduling: 'fifo', proxyEnv: settings.proxyEnv });
    this.rate = settings.rate;
    this.#ticking = setInterval(() => this.#tick(), TICK_MILLISECONDS);
  }

  /** Milliseconds since the load began. */
  now(): number {
    return performance.now() - this.#began;
  }

  /** Those that were written. */
  get names(): string[] {
    return this.#ledger.names;
  }

  /** Sends nothing more, and comes back when every request has its answer. */
  async stop(): Promise<void> {
    clearInterval(this.#ticking);
    await Promise.all(this.#underWay);
  }

  /** Reads back every name that was written and compares it with what was acknowledged. */
  async audit(): Promise<Audit> {
    const names = this.#ledger.names;
    const lost: string[] = [];
    const left = names.values();
    const deadline = this.now() + AUDIT_MILLISECONDS;
    const line = async () => {
      for (const name of left) {
        const reason = await this.#readBack(name, deadline);
        if (reason !== undefined) lost.push(reason);
      }
    };
    await Promise.all(Array.from({ length: AUDIT_LINES }, line));
    this.#agent.destroy();
    return { checked: names.length, lost };
  }

  #tick(): void {
    const now = this.now();
    this.#due += ((now - this.#ticked) / 1000) * this.rate;
    this.#ticked = now;
    const count = Math.min(Math.floor(this.#due), MOST_IN_A_TICK);
    this.#due -= Math.floor(this.#due);
    for (let n = 0; n < count; n += 1) {
      const one = this.#next().finally(() => this.#underWay.delete(one));
      this.#underWay.add(one);
    }
  }

  async #next(): Promise<void> {
    const number = this.#sent;
    this.#sent += 1;
    const url = this.#settings.urls[Math.floor(number / 2) % this.#settings.urls.length] ?? '';
    if (number % 2 === 0) await this.#write(url, this.#nameToWrite(number));
    else await this.#read(url, this.#name(Math.max(0, this.#names - 1 - randomInt(RECENT_NAMES))));
  }

  #nameToWrite(number: number): string {
    const { names } = this.#settings;
    if (names !== undefined) {
      this.#names = names;
      return this.#name(randomInt(names));
    }
    if (number % 4 !== 0 && this.#names > 0) return this.#name(Math.max(0, this.#names - 1 - randomInt(RECENT_NAMES)));
    this.#names += 1;
    return this.#name(this.#names - 1);
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
    this.#note('PUT', sent, ended, answer, answer.status === 204 ? undefined : `PUT was answered ${answer.status}`);
  }

  async #read(url: string, name: string): Promise<void> {
    const sent = this.now();
    const answer = await this.#ask('GET', `${url}/hello/${name}`);
    const ended = this.now();
    this.#note('GET', sent, ended, answer, this.#mistake(name, answer, sent, ended));
  }

  #note(method: 'GET' | 'PUT', sent: number, ended: number, answer: Received, mistake: string | undefined): void {
    const { status, retryAfter, failure } = answer;
    let verdict: Verdict = mistake === undefined ? 'right' : 'wrong';
    if (status === 0) verdict = 'cut';
    if (status === 503 || status === 429) verdict = /^\d+$/.test(retryAfter ?? '') ? 'refused' : 'wrong';
    const reason = verdict === 'right' ? undefined : (failure ?? mistake);
    this.answers.push({ method, sent, ended, status, verdict, reason });
  }

  /** What is wrong with the answer to a read, if anything is. */
  #mistake(name: string, answer: Received, sent: number, ended: number): string | undefined {
    const possible = this.#ledger.possible(name, sent, ended);
    if (answer.status === 404) return possible.has(undefined) ? undefined : `404 for ${name}, which was acknowledged`;
    if (answer.status !== 200) return `GET was answered ${answer.status}`;
    const days = daysIn(answer.body, name);
    for (const today of answer.days) {
      for (const date of possible) {
        if (date !== undefined && daysUntilBirthday(date, today) === days) return undefined;
      }
    }
    return `${name} should be born on ${[...possible].join(' or ')}; the answer was ${answer.body}`;
  }

  /** What is wrong with `name`, if anything is; whoever is refused asks again. */
  async #readBack(name: string, deadline: number): Promise<string | undefined> {
    let mistake: string | undefined = `${name} could not be read any more`;
    while (this.now() < deadline) {
      const sent = this.now();
      const answer = await this.#ask('GET', `${this.#settings.urls[0]}/hello/${name}`);
      mistake = this.#mistake(name, answer, sent, this.now());
      if (answer.status === 200 || answer.status === 404) return mistake;
      await sleep(AUDIT_PAUSE_MILLISECONDS);
    }
    return mistake;
  }

  #ask(method: 'GET' | 'PUT', url: string, body?: string): Promise<Received> {
    const { patienceSeconds = PATIENCE_SECONDS } = this.#settings;
    return new Promise((resolve) => {
      const outgoing = request(url, {
        method,
        agent: this.#agent,
        timeout: patienceSeconds * 1000,
        ...(body === undefined
          ? {}
          : { headers: { 'content-type': 'application/json', 'content-length': body.length } }),
      });
      outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${patienceSeconds} s`)));
      outgoing.on('error', (error) =>
        resolve({ status: 0, body: '', retryAfter: undefined, days: [], failure: codeOf(error) }),
      );
      outgoing.on('response', (response) =>
        receive(response).then(resolve, (error: unknown) => {
          resolve({ status: 0, body: '', retryAfter: undefined, days: [], failure: codeOf(error) });
        }),
      );
      outgoing.end(body);
    });
  }
}

interface Received {
  readonly status: number;
  readonly body: string;
  readonly retryAfter: string | undefined;
  /** The days that it may be at the service: the date of its answer, give or take a second. */
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
    days: [date, date - 1_000, date + 1_000].map((moment) => new Date(moment)),
    failure: undefined,
  };
}

/** The days that a greeting tells; undefined when it is none, or for somebody else. */
function daysIn(body: string, name: string): number | undefined {
  const [, who, days] =
    /^\{"message":"Hello, (\w+)! (?:Happy birthday!|Your birthday is in (\d+) day\(s\))"\}$/.exec(body) ?? [];
  if (who !== name) return undefined;
  return days === undefined ? 0 : Number(days);
}

function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error) return String(error.code);
  return error instanceof Error ? error.message : String(error);
}

/** The number in letters, as a username can have it. */
function letters(number: number): string {
  return [...number.toString(26)].map((digit) => String.fromCharCode(97 + Number.parseInt(digit, 26))).join('');
}
