import { run } from 'plusone-service';
import { MIGRATIONS } from './migrations/index.ts';
import { RESOURCES } from './resources.ts';
import { createServer } from './server.ts';

/** Shown in the API description, the log and the metrics. */
const VERSION = '1.0.0';

await run(
  {
    name: 'widget-service',
    version: VERSION,
    migrations: MIGRATIONS,
    defaults: { PORT: '5000', DATABASE_NAME: 'widget_service' },
    open(parts) {
      const open = RESOURCES.map((resource) => resource(parts));
      return {
        stores: open.map(({ store }) => store),
        createServer: (server) => createServer(server, open, VERSION, parts.config),
      };
    },
  },
  process.argv.slice(2),
);
