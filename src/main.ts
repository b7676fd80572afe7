import packageJson from '../package.json' with { type: 'json' };
import { MIGRATIONS } from './database/migrations/index.ts';
import { run } from './run.ts';
import { createServer } from './server.ts';
import { createUserRepository } from './users/repository.ts';

const { version } = packageJson;

await run(
  {
    name: 'plusone',
    version,
    migrations: MIGRATIONS,
    open({ database, config, tracing }) {
      const users = createUserRepository(database, config.database.queueLimit, tracing);
      return {
        stores: [users],
        createServer: (parts) =>
          createServer({ ...parts, users, clock: () => new Date(), version, writeToken: config.writeToken }),
      };
    },
  },
  process.argv.slice(2),
);
