import { run } from 'plusone-service';
import packageJson from '../package.json' with { type: 'json' };
import { MIGRATIONS } from './migrations/index.ts';
import { RESOURCES } from './resources.ts';
import { createServer } from './server.ts';

/** Shown in the API description, the log and the metrics. */
const { version } = packageJson;

await run(
  {
    name: 'widget-service',
    version,
    migrations: MIGRATIONS,
    defaults: { PORT: '5000', DATABASE_NAME: 'widget_service' },
    open(parts) {
      const open = RESOURCES.map((resource) => resource(parts));
      return {
        stores: open.map(({ store }) => store),
        createServer: (server) => createServer(server, open, version, parts.config),
      };
    },
  },
  process.argv.slice(2),
);
