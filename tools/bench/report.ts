/** The results as Markdown. */
import { GO, RAW, RUST, SERVICE } from './contestants.ts';
import {
  errors,
  GET_1,
  GET_64,
  GET_256,
  LOADS,
  median,
  PUT_64,
  type Results,
  type ServerResults,
  series,
  shares,
} from './results.ts';

interface Goal {
  readonly what: string;
  readonly goal: string;
  readonly measured: readonly number[];
  readonly digits: number;
  met(value: number): boolean;
}

/** The goals and whether they were met, then the numbers of every server: medians, with the range in brackets. */
export function report(results: Results): string {
  const { machine, servers, rounds, seconds } = results;
  const raw = find(results, RAW.name);
  return [
    `Measured on ${machine.date} at commit ${machine.commit}: ${machine.hardware}; ${machine.software}. ` +
      `${machine.durability} Rounds: ${rounds}; seconds of each load: ${seconds}; ` +
      `load average before the run: ${machine.loadBefore.toFixed(1)}.`,
    '### Goals',
    table(
      ['', 'goal', 'measured', ''],
      goals(results).map(({ what, goal, measured, digits, met }) => [
        what,
        goal,
        withRange(measured, digits),
        met(median(measured)) ? 'met' : '**missed**',
      ]),
    ),
    '### Requests per second',
    table(
      [
        '',
        ...LOADS.map(({ method, connections }) => `${method}, ${connections} connection${connections > 1 ? 's' : ''}`),
      ],
      servers.map((server) => [server.name, ...LOADS.map((load) => withRange(series(server, load, 'perSecond'), 0))]),
    ),
    '### The same, as a multiple of raw in the same round',
    table(
      ['', ...LOADS.map(({ method, connections }) => `${method} ${connections}`)],
      servers.map((server) => [
        server.name,
        ...LOADS.map((load) => withRange(shares(server, raw, load, 'perSecond'), 2)),
      ]),
    ),
    '### 99 of 100 requests were answered within, in milliseconds',
    table(
      ['', ...LOADS.map(({ method, connections }) => `${method} ${connections}`), 'errors'],
      servers.map((server) => [
        server.name,
        ...LOADS.map((load) => withRange(series(server, load, 'p99'), 1)),
        String(errors(server)),
      ]),
    ),
    '### GET at 64 connections with 10⁶ users, as a multiple of that with 10³ in the same round',
    table(
      ['', '10⁶ : 10³'],
      results.flatness.map(({ name, shares }) => [name, withRange(shares, 2)]),
    ),
    '### Start and memory',
    table(
      ['', 'process start to first 200, ms', 'resident memory after the load, MiB'],
      [
        ...servers.map(({ name, starts, memory }) => [name, withRange(starts, 0), memory.toFixed(0)]),
        ['`node --eval 0`, start to end', withRange(results.bareNode, 0), ''],
      ],
    ),
  ].join('\n\n');
}

function goals(results: Results): Goal[] {
  const { flatness } = results;
  const service = find(results, SERVICE.name);
  const raw = find(results, RAW.name);
  const go = results.servers.find(({ name }) => name === GO);
  const rust = results.servers.find(({ name }) => name === RUST);
  const ownShares = flatness.find(({ name }) => name === SERVICE.name)?.shares ?? [];
  return [
    atLeast('GET, 64 connections: × raw', 2, shares(service, raw, GET_64, 'perSecond')),
    ...(go === undefined ? [] : [atLeast('the same: × Go', 1, shares(service, go, GET_64, 'perSecond'))]),
    ...(rust === undefined
      ? []
      : [
          atLeast('the same: × Rust', 2, shares(service, rust, GET_64, 'perSecond')),
          atLeast('PUT, 64 connections: × Rust', 2, shares(service, rust, PUT_64, 'perSecond')),
          atMost('p99 of GET, 256 connections: × Rust', 0.8, shares(service, rust, GET_256, 'p99'), 2),
        ]),
    atLeast('GET, 1 connection: × raw', 1, shares(service, raw, GET_1, 'perSecond')),
    atLeast('PUT, 64 connections: × raw', 2.5, shares(service, raw, PUT_64, 'perSecond')),
    atMost('p99 of GET, 64 connections: × raw', 1, shares(service, raw, GET_64, 'p99'), 2),
    atMost('p99 of GET, 256 connections: × raw', 2, shares(service, raw, GET_256, 'p99'), 2),
    {
      what: 'errors, all loads together',
      goal: 'none',
      measured: [errors(service)],
      digits: 0,
      met: (value) => value === 0,
    },
    atMost('start to first 200, ms', 200, service.starts, 0),
    atMost('resident memory after the load, MiB', 130, [service.memory], 0),
    {
      what: 'GET with 10⁶ users: × the same with 10³',
      goal: '0.85 to 1.15',
      measured: ownShares,
      digits: 2,
      met: (value) => value >= 0.85 && value <= 1.15,
    },
  ];
}

function atLeast(what: string, least: number, measured: readonly number[]): Goal {
  return { what, goal: `≥ ${least}`, measured, digits: 2, met: (value) => value >= least };
}

function atMost(what: string, most: number, measured: readonly number[], digits: number): Goal {
  return { what, goal: `≤ ${most}`, measured, digits, met: (value) => value <= most };
}

function find({ servers }: Results, name: string): ServerResults {
  const found = servers.find((server) => server.name === name);
  if (found === undefined) throw new Error(`${name} was not measured`);
  return found;
}

/** The median, and the range in brackets if there are several. */
export function withRange(values: readonly number[], digits: number): string {
  const format = (value: number) =>
    value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const middle = format(median(values));
  return values.length > 1 ? `${middle} (${format(Math.min(...values))}–${format(Math.max(...values))})` : middle;
}

/** A Markdown table. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, column) => (column === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}
