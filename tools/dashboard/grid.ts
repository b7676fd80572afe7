import { type Missing, PANELS, type Panel, SECTIONS, type Section } from './panels.ts';

/** Grafana and CloudWatch have grids of 24 columns. */
export const GRID_WIDTH = 24;
const COLUMNS = 3;
export const PANEL_WIDTH = GRID_WIDTH / COLUMNS;

/** A section's heading, and below it its panels, each at its place on the grid. */
export interface GridSection<Graph> {
  readonly section: Section;
  readonly y: number;
  readonly panels: readonly { readonly panel: Panel; readonly graph: Graph; readonly x: number; readonly y: number }[];
}

/** The sections from top to bottom, with the panels for which `graphOf` returns a graph; each is `height` high. */
export function onGrid<Graph extends object>(
  graphOf: (panel: Panel) => Graph | Missing,
  height: number,
): GridSection<Graph>[] {
  let next = 0;
  return SECTIONS.map((section) => {
    const [y, top] = [next, next + 1];
    const drawn = PANELS.flatMap((panel) => {
      const graph = graphOf(panel);
      return panel.section !== section || isMissing(graph) ? [] : [{ panel, graph }];
    });
    next = top + Math.max(1, Math.ceil(drawn.length / COLUMNS)) * height;
    const panels = drawn.map((one, at) => ({
      ...one,
      x: (at % COLUMNS) * PANEL_WIDTH,
      y: top + Math.floor(at / COLUMNS) * height,
    }));
    return { section, y, panels };
  });
}

function isMissing(graph: object): graph is Missing {
  return 'missing' in graph;
}
