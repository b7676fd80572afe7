/** `npm run dashboard:build`: generates the dashboards and the saved searches from the definition. */
import { writeFileSync } from 'node:fs';
import { cloudWatchAddon } from './cloudwatch.ts';
import { grafanaDashboard } from './grafana.ts';
import { savedObjects } from './opensearch.ts';

writeFileSync('tools/dashboard/grafana/plusone.json', `${JSON.stringify(grafanaDashboard(), null, 2)}\n`);
writeFileSync('copilot/plusone/addons/dashboard.yml', cloudWatchAddon());
writeFileSync('tools/dashboard/opensearch/plusone.ndjson', savedObjects());
