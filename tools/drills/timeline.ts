import type { Answer } from '../load/load.ts';
import type { Recording } from './figures.ts';

const WIDTH = 760;
const LEFT = 56;
const RIGHT = 12;
const PLOT = WIDTH - LEFT - RIGHT;
const COUNTS = { top: 36, height: 90 };
const LATENCY = { top: 150, height: 70 };
const HEIGHT = 256;
const MOST_COLUMNS = 240;
const SHORTEST_COLUMN_MILLISECONDS = 100;
const COLOURS = {
  ok: '#2a7d4f',
  refused: '#d9a02b',
  failed: '#b3261e',
  latency: '#33567d',
  fault: '#f3e3e1',
  text: '#333',
};
/** Ticks of the time axis, in seconds. */
const STEPS = [1, 2, 5, 10, 20, 60];

interface Column {
  ok: number;
  refused: number;
  failed: number;
  slowest: number;
}

/** Draws a recording as SVG: answers over time by verdict, the slowest at each time, and the fault. */
export function timeline(title: string, { answers, began, returned, ended }: Recording): string {
  const width = Math.max(SHORTEST_COLUMN_MILLISECONDS, ended / MOST_COLUMNS);
  const columns = columnsOf(answers, width, ended);
  const most = Math.max(1, ...columns.map(({ ok, refused, failed }) => ok + refused + failed));
  const slowest = Math.max(10, ...columns.map((column) => column.slowest));
  const x = (milliseconds: number) => round(LEFT + (Math.min(milliseconds, ended) / ended) * PLOT);
  const bar = (kind: 'ok' | 'refused' | 'failed') =>
    columns
      .map((column, at) => {
        const below = kind === 'ok' ? 0 : kind === 'refused' ? column.ok : column.ok + column.refused;
        const count = column[kind];
        if (count === 0) return '';
        const bottom = COUNTS.top + COUNTS.height * (1 - below / most);
        return `M${x(at * width)} ${round(bottom)}V${round(bottom - (COUNTS.height * count) / most)}H${x((at + 1) * width)}V${round(bottom)}z`;
      })
      .join('');
  // Logarithmic, from 1 ms: a healthy answer and a time-out are both visible.
  const level = (milliseconds: number) =>
    round(LATENCY.top + LATENCY.height * (1 - Math.log10(Math.max(1, milliseconds)) / Math.log10(slowest)));
  const line = columns
    .map(({ slowest: value }, at) => (value === 0 ? '' : `M${x(at * width)} ${level(value)}H${x((at + 1) * width)}`))
    .join('');
  const bottom = LATENCY.top + LATENCY.height;
  const step = STEPS.find((seconds) => ended / 1000 / seconds <= 12) ?? 120;
  const ticks = Array.from({ length: Math.floor(ended / 1000 / step) + 1 }, (_, at) => at * step);
  const perSecond = Math.round((most / width) * 1000);
  const levels = [1, 10, 100, 1_000, 10_000].filter((value) => value <= slowest);

  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="11" fill="${COLOURS.text}" role="img">
<title>${escaped(title)}: answers and the slowest of them over time</title>
<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>
<rect x="${x(began)}" y="${COUNTS.top}" width="${round(Math.max(1, x(returned) - x(began)))}" height="${bottom - COUNTS.top}" fill="${COLOURS.fault}"/>
<text x="${LEFT}" y="16" font-size="13" font-weight="bold">${escaped(title)}</text>
<text x="${WIDTH - RIGHT}" y="16" text-anchor="end"><tspan fill="${COLOURS.ok}">■ ok</tspan> <tspan fill="${COLOURS.refused}">■ 503</tspan> <tspan fill="${COLOURS.failed}">■ aborted or wrong</tspan> <tspan fill="${COLOURS.latency}">▬ slowest</tspan> <tspan fill="${COLOURS.failed}" fill-opacity=".35">■ fault</tspan></text>
<path d="${bar('ok')}" fill="${COLOURS.ok}"/>
<path d="${bar('refused')}" fill="${COLOURS.refused}"/>
<path d="${bar('failed')}" fill="${COLOURS.failed}"/>
<text x="${LEFT - 6}" y="${COUNTS.top + 9}" text-anchor="end">${perSecond}/s</text>
<text x="${LEFT - 6}" y="${COUNTS.top + COUNTS.height}" text-anchor="end">0</text>
${levels.map((value) => `<path d="M${LEFT} ${level(value)}H${WIDTH - RIGHT}" stroke="#ddd"/><text x="${LEFT - 6}" y="${level(value) + 4}" text-anchor="end">${value >= 1000 ? `${value / 1000} s` : `${value} ms`}</text>`).join('')}
<path d="${line}" stroke="${COLOURS.latency}" stroke-width="2" fill="none"/>
<path d="M${LEFT} ${COUNTS.top + COUNTS.height}H${WIDTH - RIGHT}M${LEFT} ${bottom}H${WIDTH - RIGHT}" stroke="#999"/>
${ticks.map((seconds) => `<text x="${x(seconds * 1000)}" y="${bottom + 16}" text-anchor="middle">${seconds} s</text>`).join('')}
</svg>
`;
}

function columnsOf(answers: readonly Answer[], width: number, ended: number): Column[] {
  const columns = Array.from(
    { length: Math.ceil(ended / width) },
    (): Column => ({ ok: 0, refused: 0, failed: 0, slowest: 0 }),
  );
  for (const { sent, ended: at, verdict } of answers) {
    const column = columns[Math.min(columns.length - 1, Math.floor(at / width))];
    if (column === undefined) continue;
    column[verdict === 'ok' || verdict === 'refused' ? verdict : 'failed'] += 1;
    column.slowest = Math.max(column.slowest, at - sent);
  }
  return columns;
}

const round = (value: number) => Math.round(value * 10) / 10;

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
