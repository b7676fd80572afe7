/** The measurements, and the queries that the report and the chart need. */
import type { Load, Outcome } from '../load/wrk.ts';

/** One run of the benchmark. What was measured several times has one number per measurement. */
export interface Results {
  readonly machine: Machine;
  readonly rounds: number;
  readonly seconds: number;
  /** The service first, raw second. */
  readonly servers: readonly ServerResults[];
  /** GET at 64 connections with 10⁶ users, as a share of that with 10³ in the same round. */
  readonly flatness: readonly { readonly name: string; readonly shares: readonly number[] }[];
  /** The start and end of a Node process that does nothing, in milliseconds. */
  readonly bareNode: readonly number[];
}

export interface Machine {
  readonly date: string;
  readonly commit: string;
  readonly hardware: string;
  readonly software: string;
  /** How durable the database's writes are. */
  readonly durability: string;
  /** The load average of the machine before the run. */
  readonly loadBefore: number;
}

export interface ServerResults {
  readonly name: string;
  readonly rounds: ReadonlyMap<Load, readonly Outcome[]>;
  /** From process start to first 200, in milliseconds. */
  readonly starts: readonly number[];
  /** Resident memory after the load, in MiB. */
  readonly memory: number;
}

export const GET_1: Load = { method: 'GET', connections: 1 };
export const GET_64: Load = { method: 'GET', connections: 64 };
export const GET_256: Load = { method: 'GET', connections: 256 };
export const PUT_64: Load = { method: 'PUT', connections: 64 };
/** In the order in which a round has them: writes last, since the database is busy with them for a while longer. */
export const LOADS: readonly Load[] = [GET_1, GET_64, GET_256, PUT_64];

type Quantity = 'perSecond' | 'p99' | 'errors';

/** A quantity of a server under a load, one number a round. */
export function series(server: ServerResults, load: Load, quantity: Quantity): number[] {
  return (server.rounds.get(load) ?? []).map((outcome) => outcome[quantity]);
}

/** That quantity as a share of the other server's in the same round. */
export function shares(server: ServerResults, other: ServerResults, load: Load, quantity: Quantity): number[] {
  const others = series(other, load, quantity);
  return series(server, load, quantity).map((value, round) => value / (others[round] ?? Number.NaN));
}

/** The errors of a server under all loads. */
export function errors(server: ServerResults): number {
  return LOADS.flatMap((load) => series(server, load, 'errors')).reduce((sum, value) => sum + value, 0);
}

/** The median; of an even number of values, the mean of the middle two. NaN without values. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle)] ?? Number.NaN)) / 2;
}
