import { cpus, type } from 'node:os';
import { dockerAnswers, type PrivateDatabase, startPrivateDatabase } from '../../process/database.ts';
import { type Cluster, type DatabaseCluster, startDatabaseCluster } from '../../process/database-cluster.ts';
import { freePort } from '../../process/free-port.ts';
import { type GaleraCluster, missingForGalera, startGaleraCluster } from '../../process/galera.ts';
import { NoProgram } from '../../process/pypi.ts';
import { killAll, migrate, type Service, startServing } from '../../process/service.ts';
import { type ParameterStore, startParameterStore } from '../../process/ssm.ts';
import { Deferred } from '../deferred.ts';
import type { Environment, Fixture } from '../drill.ts';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { type LoadBalancer, startLoadBalancer } from './load-balancer.ts';

const MEBIBYTE = 1024 * 1024;

/** Processes of the service on this machine, with a database of their own. */
export class ProcessFixture implements Fixture {
  readonly database: PrivateDatabase;
  /** A proxy to the database, for the services that are started with {@link viaProxy}. */
  readonly proxy: FaultProxy;
  /** See {@link Ledger}; true while there is one process. */
  lateWritesEnd = true;
  urls: string[] = [];
  services: Service[] = [];
  #loadBalancer: LoadBalancer | undefined;
  readonly #store: () => Promise<ParameterStore>;
  readonly #cluster: () => Promise<DatabaseCluster>;
  readonly #galera: () => Promise<GaleraCluster>;
  readonly #unexpected = new Set<Service>();
  readonly #deferred = new Deferred();

  constructor(
    database: PrivateDatabase,
    proxy: FaultProxy,
    store: () => Promise<ParameterStore>,
    cluster: () => Promise<DatabaseCluster>,
    galera: () => Promise<GaleraCluster>,
  ) {
    this.database = database;
    this.proxy = proxy;
    this.#store = store;
    this.#cluster = cluster;
    this.#galera = galera;
  }

  /** The variables that lead to the database through the proxy. */
  get viaProxy(): NodeJS.ProcessEnv {
    return { ...this.database.env, DATABASE_PORT: String(this.proxy.port) };
  }

  /** The first process of the service, often the only one. */
  get service(): Service {
    const [service] = this.services;
    if (service === undefined) throw new Error('the drill has not started a service');
    return service;
  }

  /** The first address. */
  get url(): string {
    return this.urls[0] ?? '';
  }

  /** The port of the first process. */
  get port(): number {
    return Number(new URL(this.service.url).port);
  }

  /** Starts a process that clients reach directly. */
  async serve(env: NodeJS.ProcessEnv = this.database.env): Promise<void> {
    const service = await this.start({ PORT: String(await freePort()), ...env });
    this.urls.push(service.url);
    this.lateWritesEnd = this.urls.length === 1;
  }

  /** Starts `count` processes behind one load balancer. */
  async serveBehindLoadBalancer(count: number, env: NodeJS.ProcessEnv): Promise<void> {
    this.#loadBalancer = await startLoadBalancer();
    for (let n = 0; n < count; n += 1) await this.startBehindLoadBalancer(env);
    this.urls = [this.#loadBalancer.url];
    this.lateWritesEnd = count === 1;
  }

  async startBehindLoadBalancer(env: NodeJS.ProcessEnv): Promise<void> {
    await this.#loadBalancer?.add(await this.start(env));
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

  /** Returns the oldest process, whose end is expected from now on. */
  expectExit(): Service {
    const { service } = this;
    this.services.shift();
    return service;
  }

  /** Kills the oldest process; resolves when it has ended. */
  async kill(): Promise<void> {
    const { child, exited } = this.expectExit();
    child.kill('SIGKILL');
    await exited;
  }

  /** Starts a parameter store, once; returns the reason if that is not possible on this machine. */
  async parameterStore(): Promise<ParameterStore | string> {
    try {
      return await this.#store();
    } catch (error) {
      if (error instanceof NoProgram) return error.message;
      throw error;
    }
  }

  /** Starts a cluster of databases with the service's tables, once; returns the reason if that is not possible on this machine. */
  async databaseCluster(): Promise<DatabaseCluster | string> {
    if (process.getuid?.() !== 0) return 'root is needed to cut a container off from the others';
    return (await dockerAnswers()) ? await this.#cluster() : 'it needs Docker';
  }

  /** The same with Galera. */
  async galera(): Promise<GaleraCluster | string> {
    return missingForGalera() ?? (await this.#galera());
  }

  /** Registers an action to run after the drill, even if it fails; in reverse order. */
  defer(action: () => unknown): void {
    this.#deferred.add(action);
  }

  /** Reads a metric of the first process. Throws when that fails. */
  async metric(name: string): Promise<number> {
    const answer = await fetch(`${this.service.metricsUrl}/metrics`, { signal: AbortSignal.timeout(2_000) });
    const value = new RegExp(`^${name} (\\S+)$`, 'm').exec(await answer.text())?.[1];
    if (value === undefined) throw new Error(`/metrics has no ${name}`);
    return Number(value);
  }

  /** How many deadlocks MySQL or MariaDB has had since its start. */
  async deadlocks(): Promise<number> {
    const [mariadb] = await this.database.query(`SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'`);
    if (mariadb !== undefined) return Number(mariadb.Value);
    const [mysql] = await this.database.query(
      `SELECT count FROM information_schema.innodb_metrics WHERE name = 'lock_deadlocks'`,
    );
    return Number(mysql?.count);
  }

  async memory(): Promise<number | undefined> {
    // Some drills stop the process.
    const bytes = await this.metric('process_resident_memory_bytes').catch(() => undefined);
    return bytes === undefined ? undefined : bytes / MEBIBYTE;
  }

  async restarts(): Promise<number> {
    return this.#unexpected.size;
  }

  async close(): Promise<void> {
    try {
      await this.#deferred.run();
    } finally {
      await killAll(this.services.splice(0));
      this.#loadBalancer?.close();
      this.proxy.restore();
    }
  }
}

/** Starts the database and other helpers when first needed; they end with this process at the latest. */
export async function openProcessEnvironment(): Promise<Environment<ProcessFixture>> {
  const database = await startPrivateDatabase();
  await migrate(database.env);
  const proxy = await startFaultProxy(database.port);
  let store: Promise<ParameterStore> | undefined;
  let cluster: Promise<DatabaseCluster> | undefined;
  let galera: Promise<GaleraCluster> | undefined;
  const [cpu] = cpus();
  return {
    target: 'process',
    description: `${cpus().length} × ${cpu?.model ?? 'CPU'}, ${type()}, Node ${process.version}, ${database.description}`,
    async open() {
      return new ProcessFixture(
        database,
        proxy,
        () => {
          store ??= startParameterStore();
          return store;
        },
        () => {
          cluster ??= migrated(startDatabaseCluster());
          return cluster;
        },
        () => {
          galera ??= migrated(startGaleraCluster());
          return galera;
        },
      );
    },
    async close() {
      proxy.close();
      await (await store?.catch(() => undefined))?.stop();
      await (await cluster?.catch(() => undefined))?.stop();
      await (await galera?.catch(() => undefined))?.stop();
      await database.stop();
    },
  };
}

async function migrated<Started extends Cluster>(starting: Promise<Started>): Promise<Started> {
  const cluster = await starting;
  await migrate(cluster.env);
  return cluster;
}
