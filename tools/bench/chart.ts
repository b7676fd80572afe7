/** The results as a chart. */
import { SERVICE } from './contestants.ts';
import { GET_64, median, PUT_64, type Results, type ServerResults, series } from './results.ts';

const WIDTH = 760;
const MARGIN = 24;
const NAMES_WIDTH = 210;
const VALUES_WIDTH = 130;
const TITLE_HEIGHT = 44;
const ROW_HEIGHT = 24;
const BAR_HEIGHT = 14;

/** Colours are attributes, which every renderer knows; the style has only those of a dark page. */
const PAINT = {
  ground: 'class="ground" fill="#ffffff"',
  text: 'class="text" fill="#1f2328"',
  faint: 'class="faint" fill="#59636e"',
  own: 'class="own" fill="#0969da"',
  other: 'class="other" fill="#afb8c1"',
  range: 'class="range" stroke="#1f2328"',
};

const PANELS = [
  { title: 'GET, 64 connections: requests per second', load: GET_64, quantity: 'perSecond', unit: '' },
  { title: 'PUT, 64 connections: requests per second', load: PUT_64, quantity: 'perSecond', unit: '' },
  { title: 'GET, 64 connections: 99 of 100 answered within', load: GET_64, quantity: 'p99', unit: ' ms' },
] as const;

/**
 * An SVG with bars for the medians and lines for the ranges. It has a background of its own, so that it can be read on a
 * light and on a dark page, and follows what the reader's system prefers.
 */
export function chart(results: Results): string {
  const panelHeight = TITLE_HEIGHT + results.servers.length * ROW_HEIGHT;
  const height = MARGIN + PANELS.length * panelHeight;
  const description = PANELS.map((panel) => describe(panel, results.servers)).join(' ');
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="title description" font-family="system-ui, sans-serif" font-size="13">
  <title id="title">Requests per second and response times of the servers that were compared</title>
  <desc id="description">${escaped(description)}</desc>
  <style>
    @media (prefers-color-scheme: dark) {
      .ground { fill: #151b23 } .text { fill: #f0f6fc } .faint { fill: #9198a1 }
      .own { fill: #4493f8 } .other { fill: #4c5560 } .range { stroke: #f0f6fc }
    }
  </style>
  <rect ${PAINT.ground} width="${WIDTH}" height="${height}" rx="8"/>
${PANELS.map((panel, at) => drawPanel(panel, results.servers, MARGIN / 2 + at * panelHeight)).join('\n')}
</svg>
`;
}

type Panel = (typeof PANELS)[number];

function drawPanel(panel: Panel, servers: readonly ServerResults[], top: number): string {
  const highest = Math.max(...servers.flatMap((server) => series(server, panel.load, panel.quantity)));
  const left = MARGIN + NAMES_WIDTH;
  const scale = (WIDTH - left - VALUES_WIDTH) / highest;
  const rows = servers.map((server, at) => {
    const values = series(server, panel.load, panel.quantity);
    const end = left + median(values) * scale;
    const [from, to] = [left + Math.min(...values) * scale, left + Math.max(...values) * scale];
    const middle = top + TITLE_HEIGHT + at * ROW_HEIGHT;
    const isOwn = server.name === SERVICE.name;
    return [
      `  <text ${PAINT.text} x="${left - 10}" y="${middle + 4}" text-anchor="end"${isOwn ? ' font-weight="600"' : ''}>${escaped(server.name)}</text>`,
      `  <rect ${isOwn ? PAINT.own : PAINT.other} x="${left}" y="${middle - BAR_HEIGHT / 2}" width="${round(end - left)}" height="${BAR_HEIGHT}" rx="2"/>`,
      `  <path ${PAINT.range} d="M${round(from)} ${middle}H${round(to)}M${round(from)} ${middle - 4}v8M${round(to)} ${middle - 4}v8" fill="none"/>`,
      `  <text ${PAINT.faint} x="${round(Math.max(end, to) + 8)}" y="${middle + 4}">${format(median(values))}${panel.unit}</text>`,
    ].join('\n');
  });
  return [
    `  <text ${PAINT.text} x="${MARGIN}" y="${top + 20}" font-weight="600">${escaped(panel.title)}</text>`,
    ...rows,
  ].join('\n');
}

function describe({ title, load, quantity, unit }: Panel, servers: readonly ServerResults[]): string {
  const values = servers.map((server) => `${server.name} ${format(median(series(server, load, quantity)))}${unit}`);
  return `${title}: ${values.join(', ')}.`;
}

function format(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: value < 100 ? 1 : 0 });
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
