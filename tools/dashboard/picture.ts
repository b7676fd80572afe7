/** Panels with measurements → an SVG. */
import { type PrometheusGraph, SECTIONS, type Section, type Unit } from './panels.ts';
import type { Point } from './prometheus.ts';

/** A panel and the results of its queries. */
export interface DrawnPanel {
  readonly section: Section;
  readonly title: string;
  readonly graph: PrometheusGraph;
  readonly lines: readonly Line[];
}

export interface Line {
  readonly name: string;
  readonly points: readonly Point[];
}

const COLUMNS = 3;
const MARGIN = 20;
const GAP = 14;
const PANEL = { width: 370, height: 224 };
const PLOT = { left: 58, right: 10, top: 32, height: 120 };
const SECTION_HEIGHT = 30;
const LEGEND = { rows: 3, columns: 2, height: 14, letters: 48 };
const LIGHT_LINES = ['#0969da', '#bc4c00', '#1a7f37', '#8250df', '#9a6700', '#bf3989', '#1b7c83', '#57606a'];
const DARK_LINES = ['#4493f8', '#f0883e', '#3fb950', '#ab7df8', '#d29922', '#db61a2', '#39c5cf', '#9198a1'];
/** Colours are attributes, which every renderer knows; the style has only those of a dark page. */
const PAINT = {
  ground: 'class="ground" fill="#f6f8fa"',
  panel: 'class="panel" fill="#ffffff" stroke="#d1d9e0"',
  text: 'class="text" fill="#1f2328"',
  faint: 'class="faint" fill="#59636e"',
  grid: 'class="grid" stroke="#e1e6eb"',
  limit: 'class="limit" stroke="#cf222e" stroke-dasharray="5 4"',
  limitText: 'class="limitText" fill="#cf222e"',
};
/** Between two points that are further apart there is a gap. */
const HOLE_SECONDS = 15;

/**
 * The panels from `from` to `to` (seconds since the Unix epoch). The picture has a background, so that it is readable on light
 * and dark pages, and follows the reader's color scheme.
 */
export function picture(panels: readonly DrawnPanel[], from: number, to: number): string {
  const drawn: string[] = [];
  let y = MARGIN;
  for (const section of SECTIONS) {
    const inSection = panels.filter((panel) => panel.section === section);
    if (inSection.length === 0) continue;
    drawn.push(`<text ${PAINT.text} x="${MARGIN}" y="${y + 18}" font-size="15" font-weight="600">${section}</text>`);
    y += SECTION_HEIGHT;
    inSection.forEach((panel, at) => {
      const column = at % COLUMNS;
      if (at > 0 && column === 0) y += PANEL.height + GAP;
      drawn.push(drawPanel(panel, MARGIN + column * (PANEL.width + GAP), y, from, to));
    });
    y += PANEL.height + GAP;
  }
  const width = 2 * MARGIN + COLUMNS * PANEL.width + (COLUMNS - 1) * GAP;
  const height = y - GAP + MARGIN;
  const description = panels
    .map(({ title, lines }) => `${title}: ${lines.map(({ name }) => name).join(', ')}.`)
    .join(' ');
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title description" font-family="system-ui, sans-serif" font-size="11">
<title id="title">The dashboard of Plusone, ${new Date(from * 1000).toISOString()} to ${new Date(to * 1000).toISOString()}</title>
<desc id="description">${escaped(description)}</desc>
<style>
@media (prefers-color-scheme: dark) {
.ground { fill: #0d1117 } .panel { fill: #151b23; stroke: #3d444d } .text { fill: #f0f6fc } .faint { fill: #9198a1 }
.grid { stroke: #2a313c } .limit { stroke: #f85149 } .limitText { fill: #f85149 }
${DARK_LINES.map((colour, at) => `path.c${at} { stroke: ${colour} } rect.c${at} { fill: ${colour} }`).join('\n')}
}
</style>
<rect ${PAINT.ground} width="${width}" height="${height}" rx="8"/>
${drawn.join('\n')}
</svg>
`;
}

function drawPanel({ title, graph, lines }: DrawnPanel, left: number, top: number, from: number, to: number): string {
  const { unit, limit } = graph;
  const plotWidth = PANEL.width - PLOT.left - PLOT.right;
  const [x0, y0] = [left + PLOT.left, top + PLOT.top];
  const scale = scaleOf(graph, lines);
  const x = (at: number) => round(x0 + ((at - from) / (to - from)) * plotWidth);
  const y = (value: number) => round(y0 + PLOT.height * (1 - scale.part(value)));
  const parts = [
    `<rect ${PAINT.panel} x="${left}" y="${top}" width="${PANEL.width}" height="${PANEL.height}" rx="6"/>`,
    `<text ${PAINT.text} x="${left + 12}" y="${top + 20}" font-size="12.5" font-weight="600">${escaped(title)}</text>`,
    ...scale.ticks.map(
      (value) =>
        `<path ${PAINT.grid} d="M${x0} ${y(value)}h${plotWidth}"/><text ${PAINT.faint} x="${x0 - 6}" y="${y(value) + 4}" text-anchor="end">${format(value, unit)}</text>`,
    ),
    ...timeTicks(from, to).map(
      (seconds) =>
        `<text ${PAINT.faint} x="${x(from + seconds)}" y="${y0 + PLOT.height + 16}" text-anchor="middle">${clock(seconds)}</text>`,
    ),
  ];
  if (limit) {
    parts.push(
      `<path ${PAINT.limit} d="M${x0} ${y(limit.value)}h${plotWidth}"/><text ${PAINT.limitText} x="${x0 + plotWidth}" y="${y(limit.value) - 4}" text-anchor="end">${escaped(limit.label)}</text>`,
    );
  }
  if (lines.length === 0) {
    parts.push(
      `<text ${PAINT.faint} x="${x0 + plotWidth / 2}" y="${y0 + PLOT.height / 2}" text-anchor="middle">not measured in this run</text>`,
    );
  }
  const most = LEGEND.rows * LEGEND.columns;
  // A few names can use the whole width.
  const columns = lines.length > LEGEND.rows ? LEGEND.columns : 1;
  lines.forEach(({ name, points }, at) => {
    const colour = LIGHT_LINES[at % LIGHT_LINES.length];
    parts.push(
      `<path class="line c${at % LIGHT_LINES.length}" fill="none" stroke="${colour}" stroke-width="1.6" stroke-linejoin="round" d="${trace(points, x, y)}"/>`,
    );
    const isRest = at === most - 1 && lines.length > most;
    if (at >= most) return;
    const legendX = left + 14 + (at % columns) * (PANEL.width / columns);
    const legendY = y0 + PLOT.height + 34 + Math.floor(at / columns) * LEGEND.height;
    parts.push(
      isRest
        ? `<text ${PAINT.faint} x="${legendX}" y="${legendY}">and ${lines.length - most + 1} more</text>`
        : `<rect class="c${at % LIGHT_LINES.length}" fill="${colour}" x="${legendX}" y="${legendY - 7}" width="9" height="7" rx="1"/><text ${PAINT.faint} x="${legendX + 14}" y="${legendY}">${escaped(shortened(name, LEGEND.letters / columns))}</text>`,
    );
  });
  return parts.join('\n');
}

/** A path through the points, with gaps where there are none. */
function trace(points: readonly Point[], x: (at: number) => number, y: (value: number) => number): string {
  let path = '';
  let before = Number.NEGATIVE_INFINITY;
  for (const { at, value } of points) {
    if (!Number.isFinite(value)) continue;
    // A single point is a dot.
    path += at - before > HOLE_SECONDS ? `M${x(at)} ${y(value)}h.1` : `L${x(at)} ${y(value)}`;
    before = at;
  }
  return path;
}

interface Scale {
  readonly ticks: readonly number[];
  /** The position of a value, from 0 at the bottom to 1 at the top. */
  part(value: number): number;
}

function scaleOf({ limit, logarithmic, unit }: PrometheusGraph, lines: readonly Line[]): Scale {
  const values = lines.flatMap(({ points }) => points.map(({ value }) => value)).filter(Number.isFinite);
  const highest = Math.max(...values, limit?.value ?? 0);
  if (logarithmic) {
    const positive = values.filter((value) => value > 0);
    const low = Math.floor(Math.log10(Math.min(...positive, highest, limit?.value ?? highest) || 0.001));
    const high = Math.max(low + 1, Math.ceil(Math.log10(highest || 1)));
    return {
      ticks: Array.from({ length: high - low + 1 }, (_, at) => 10 ** (low + at)),
      part: (value) => Math.max(0, (Math.log10(Math.max(value, 1e-12)) - low) / (high - low)),
    };
  }
  const step = niceStep(highest > 0 ? highest : 1, unit);
  const count = Math.max(1, Math.ceil((highest > 0 ? highest : 1) / step - 1e-9));
  return {
    ticks: Array.from({ length: count + 1 }, (_, at) => at * step),
    part: (value) => value / (count * step),
  };
}

/** A step that gives two to five parts and round numbers. */
function niceStep(highest: number, unit: Unit): number {
  const least = highest / 4;
  // MiB and similar units use powers of two.
  if (unit === 'bytes') return 2 ** Math.ceil(Math.log2(least));
  const power = 10 ** Math.floor(Math.log10(least));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= least) ?? 10) * power;
  return unit === 'count' ? Math.max(step, highest >= 2 ? 1 : 0.5) : step;
}

function timeTicks(from: number, to: number): number[] {
  const length = to - from;
  const step = [10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600].find((seconds) => length / seconds <= 6) ?? 7200;
  return Array.from({ length: Math.floor(length / step) + 1 }, (_, at) => at * step);
}

/** Minutes and seconds: 1:30. */
function clock(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

function format(value: number, unit: Unit): string {
  if (value === 0) return '0';
  if (unit === 'seconds') return value >= 1 ? `${plain(value)} s` : `${plain(value * 1000)} ms`;
  if (unit === 'share') return `${plain(value * 100)} %`;
  if (unit === 'bytes') return value >= 2 ** 30 ? `${plain(value / 2 ** 30)} GiB` : `${plain(value / 2 ** 20)} MiB`;
  return unit === 'perSecond' ? `${plain(value)}/s` : plain(value);
}

function plain(value: number): string {
  return value.toLocaleString('en', { maximumSignificantDigits: 3 });
}

function shortened(name: string, letters: number): string {
  return name.length <= letters ? name : `${name.slice(0, letters - 1)}…`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
