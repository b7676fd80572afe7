/** `npm run dashboard:build`: writes both dashboards from the one definition. */
import { writeFileSync } from 'node:fs';
import { cloudWatchAddon } from './cloudwatch.ts';
import { grafanaDashboard } from './grafana.ts';

writeFileSync('tools/dashboard/grafana/plusone.json', `${JSON.stringify(grafanaDashboard(), null, 2)}\n`);
writeFileSync('copilot/plusone/addons/dashboard.yml', cloudWatchAddon());
