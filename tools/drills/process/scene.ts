import { cpus, type } from 'node:os';
import { type PrivateDatabase, startPrivateDatabase } from '../../process/database.ts';
import { freePort } from '../../process/free-port.ts';
import { NoProgram } from '../../process/pypi.ts';
import { killAll, migrate, type Service, startServing } from '../../process/service.ts';
import { type ParameterStore, startParameterStore } from '../../process/ssm.ts';
import type { OpenScene, Place } from '../drill.ts';
import { type FrontDoor, openFrontDoor } from './front-door.ts';
import { layWire, type Wire } from './wire.ts';

const MEBIBYTE = 1024 * 1024;

/** Processes of the service on this machine, on a database that may be hurt. */
export class ProcessScene implements OpenScene {
  readonly database: PrivateDatabase;
  /** The way to the database for those services that are started over it. */
  readonly wire: Wire;
  /** See Ledger; true while there is one process. */
  lateWritesEnd = true;
  urls: string[] = [];
  services: Service[] = [];
  #frontDoor: FrontDoor | undefined;
  readonly #store: () => Promise<ParameterStore>;
  readonly #unexpected = new Set<Service>();
  readonly #atTheEnd: (() => unknown)[] = [];

  constructor(database: PrivateDatabase, wire: Wire, store: () => Promise<ParameterStore>) {
    this.database = database;
    this.wire = wire;
    this.#store = store;
  }

  /** The variables that lead to the database over the wire. */
  get overWire(): NodeJS.ProcessEnv {
    return { ...this.database.env, DATABASE_PORT: String(this.wire.port) };
  }

  /** The first, and mostly the only, process of the service. */
  get service(): Service {
    const [service] = this.services;
    if (service === undefined) throw new Error('this drill has started no service');
    return service;
  }

  /** The first front door. */
  get url(): string {
    return this.urls[0] ?? '';
  }

  /** The port of the first process. */
  get port(): number {
    return Number(new URL(this.service.url).port);
  }

  /** Starts a process that callers reach directly. */
  async serve(env: NodeJS.ProcessEnv = this.database.env): Promise<void> {
    const service = await this.start({ PORT: String(await freePort()), ...env });
    this.urls.push(service.url);
    this.lateWritesEnd = this.urls.length === 1;
  }

  /** Starts `count` processes behind one front door. */
  async serveBehindDoor(count: number, env: NodeJS.ProcessEnv): Promise<void> {
    this.#frontDoor = await openFrontDoor();
    for (let n = 0; n < count; n += 1) await this.startBehindDoor(env);
    this.urls = [this.#frontDoor.url];
    this.lateWritesEnd = count === 1;
  }

  async startBehindDoor(env: NodeJS.ProcessEnv): Promise<void> {
    await this.#frontDoor?.add(await this.start(env));
  }

  /** Starts a process and waits until it is ready. */
  async start(env: NodeJS.ProcessEnv): Promise<Service> {
    const service = await startServing(env);
    this.services.push(service);
    service.exited.then(() => {
      if (this.services.includes(service)) this.#unexpected.add(service);
    });
    return service;
  }

  /** Gives away the oldest process, which may end from now on. */
  letGo(): Service {
    const { service } = this;
    this.services.shift();
    return service;
  }

  /** Kills the oldest process, and comes back when it is gone. */
  async kill(): Promise<void> {
    const { child, exited } = this.letGo();
    child.kill('SIGKILL');
    await exited;
  }

  /** A parameter store; a text says why there can be none on this machine. */
  async parameterStore(): Promise<ParameterStore | string> {
    try {
      return await this.#store();
    } catch (error) {
      if (error instanceof NoProgram) return error.message;
      throw error;
    }
  }

  /** Has something undone when the drill is over, however it goes. */
  atTheEnd(undo: () => unknown): void {
    this.#atTheEnd.push(undo);
  }

  /** A metric of the first process. Throws when it cannot be read. */
  async metric(name: string): Promise<number> {
    const answer = await fetch(`${this.service.metricsUrl}/metrics`, { signal: AbortSignal.timeout(2_000) });
    const value = new RegExp(`^${name} (\\S+)$`, 'm').exec(await answer.text())?.[1];
    if (value === undefined) throw new Error(`/metrics has no ${name}`);
    return Number(value);
  }

  /** How many deadlocks MySQL or MariaDB has seen since its start. */
  async deadlocks(): Promise<number> {
    const [mariadb] = await this.database.query(`SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'`);
    if (mariadb !== undefined) return Number(mariadb.Value);
    const [mysql] = await this.database.query(
      `SELECT count FROM information_schema.innodb_metrics WHERE name = 'lock_deadlocks'`,
    );
    return Number(mysql?.count);
  }

  async memory(): Promise<number | undefined> {
    // While a drill has it away there is nothing to see.
    const bytes = await this.metric('process_resident_memory_bytes').catch(() => undefined);
    return bytes === undefined ? undefined : bytes / MEBIBYTE;
  }

  async restarts(): Promise<number> {
    return this.#unexpected.size;
  }

  async close(): Promise<void> {
    for (const undo of this.#atTheEnd.reverse()) await undo();
    await killAll(this.services.splice(0));
    this.#frontDoor?.close();
    this.wire.restore();
  }
}

/** Starts the database, and what else drills need, when first needed; it ends with this process at the latest. */
export async function openProcessPlace(): Promise<Place<ProcessScene>> {
  const database = await startPrivateDatabase();
  await migrate(database.env);
  const wire = await layWire(database.port);
  let store: Promise<ParameterStore> | undefined;
  const [cpu] = cpus();
  return {
    target: 'process',
    description: `${cpus().length} × ${cpu?.model ?? 'CPU'}, ${type()}, Node ${process.version}, ${database.description}`,
    async open() {
      return new ProcessScene(database, wire, () => {
        store ??= startParameterStore();
        return store;
      });
    },
    async close() {
      wire.close();
      await (await store?.catch(() => undefined))?.stop();
      await database.stop();
    },
  };
}
