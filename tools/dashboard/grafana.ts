/** The definition of panels → the JSON of a Grafana dashboard. */
import {
  type Dashboard,
  DashboardCursorSync,
  FieldColorModeId,
  type Panel as GrafanaPanel,
  GraphDrawStyle,
  type GraphFieldConfig,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  type RowPanel,
  ScaleDistribution,
  SortOrder,
  ThresholdsMode,
  TooltipDisplayMode,
  VisibilityMode,
} from '@grafana/schema';
import { GRID_WIDTH, onGrid, PANEL_WIDTH } from './grid.ts';
import type { Panel, PrometheusGraph, Unit } from './panels.ts';

/** As kubernetes/grafana.yaml provisions it. */
const DATASOURCE = { type: 'prometheus', uid: 'prometheus' };
const HEIGHT = 8;

/** https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts */
const UNITS: Readonly<Record<Unit, string>> = {
  perSecond: 'suffix:/s',
  share: 'percentunit',
  seconds: 's',
  bytes: 'bytes',
  cpus: 'suffix: CPU',
  count: 'none',
};

/** The dashboard, as Grafana's file provisioning and its import take it. */
export function grafanaDashboard(): Dashboard {
  const panels: (GrafanaPanel | RowPanel)[] = [];
  let id = 0;
  for (const { section, y, panels: own } of onGrid(({ prometheus }) => prometheus, HEIGHT)) {
    id += 1;
    const gridPos = { x: 0, y, w: GRID_WIDTH, h: 1 };
    panels.push({ type: 'row', id, title: section, collapsed: false, panels: [], gridPos });
    for (const { panel, graph, x, y } of own) {
      id += 1;
      panels.push({ ...timeSeries(panel, graph), id, gridPos: { x, y, w: PANEL_WIDTH, h: HEIGHT } });
    }
  }
  return {
    uid: 'plusone',
    title: 'Plusone',
    tags: ['plusone'],
    schemaVersion: 42,
    editable: false,
    graphTooltip: DashboardCursorSync.Crosshair,
    refresh: '5s',
    time: { from: 'now-15m', to: 'now' },
    timezone: 'browser',
    panels,
  };
}

function timeSeries(
  { title, description }: Panel,
  { unit, queries, limit, logarithmic }: PrometheusGraph,
): GrafanaPanel {
  const custom: GraphFieldConfig = {
    drawStyle: GraphDrawStyle.Line,
    lineWidth: 2,
    fillOpacity: 8,
    showPoints: VisibilityMode.Never,
    scaleDistribution: logarithmic ? { type: ScaleDistribution.Log, log: 10 } : { type: ScaleDistribution.Linear },
    thresholdsStyle: { mode: limit ? GraphThresholdsStyleMode.Dashed : GraphThresholdsStyleMode.Off },
  };
  const thresholds = {
    mode: ThresholdsMode.Absolute,
    steps: [{ color: 'transparent', value: null }, ...(limit ? [{ color: 'red', value: limit.value }] : [])],
  };
  return {
    type: 'timeseries',
    title,
    description: limit ? `${description} Dashed: ${limit.label}.` : description,
    datasource: DATASOURCE,
    targets: queries.map(({ expression, legend }, at) => ({
      refId: String.fromCharCode('A'.charCodeAt(0) + at),
      datasource: DATASOURCE,
      expr: expression,
      legendFormat: legend,
      range: true,
    })),
    fieldConfig: {
      defaults: {
        unit: UNITS[unit],
        color: { mode: FieldColorModeId.PaletteClassic },
        custom: { ...custom },
        thresholds,
        ...(logarithmic ? {} : { min: 0 }),
      },
      overrides: [],
    },
    options: {
      legend: { calcs: [], displayMode: LegendDisplayMode.List, placement: 'bottom', showLegend: true },
      tooltip: { mode: TooltipDisplayMode.Multi, sort: SortOrder.Descending },
    },
  };
}
