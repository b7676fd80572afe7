/**
 * The definition of panels → saved objects of OpenSearch Dashboards: an index pattern, the saved searches, and a dashboard
 * that has them. The format is that of its export: https://docs.opensearch.org/latest/dashboards/management/management-index/
 */
import { GRID_WIDTH } from './grid.ts';
import { SEARCHES } from './searches.ts';

/** OpenSearch Dashboards has a grid of 48 columns. */
const WIDTH = 2 * GRID_WIDTH;
const HEIGHT = 14;
const PATTERN = 'plusone-logs';

/** One saved object per line, for `Import` in Dashboards Management. */
export function savedObjects(): string {
  const searches = [...SEARCHES.values()].map(({ name, title, query, columns }) => ({
    id: `plusone-${name}`,
    type: 'search',
    attributes: {
      title,
      columns,
      sort: [['@timestamp', 'desc']],
      version: 1,
      kibanaSavedObjectMeta: {
        searchSourceJSON: JSON.stringify({
          query: { query, language: 'lucene' },
          filter: [],
          indexRefName: 'kibanaSavedObjectMeta.searchSourceJSON.index',
        }),
      },
    },
    references: [{ id: PATTERN, type: 'index-pattern', name: 'kibanaSavedObjectMeta.searchSourceJSON.index' }],
  }));
  const panels = searches.map((_, at) => ({
    version: '2.19.0',
    gridData: { x: 0, y: at * HEIGHT, w: WIDTH, h: HEIGHT, i: String(at) },
    panelIndex: String(at),
    embeddableConfig: {},
    panelRefName: `panel_${at}`,
  }));
  const objects = [
    {
      id: PATTERN,
      type: 'index-pattern',
      attributes: { title: 'logs-plusone-*', timeFieldName: '@timestamp' },
      references: [],
    },
    ...searches,
    {
      id: 'plusone-logs',
      type: 'dashboard',
      attributes: {
        title: 'Plusone logs',
        panelsJSON: JSON.stringify(panels),
        optionsJSON: JSON.stringify({ hidePanelTitles: false, useMargins: true }),
        timeRestore: false,
        version: 1,
        kibanaSavedObjectMeta: {
          searchSourceJSON: JSON.stringify({ query: { query: '', language: 'lucene' }, filter: [] }),
        },
      },
      references: searches.map(({ id }, at) => ({ id, type: 'search', name: `panel_${at}` })),
    },
  ];
  return `${objects.map((object) => JSON.stringify(object)).join('\n')}\n`;
}
