import type { Server } from 'restify';
import { createHttpServer, type ServerParts } from './http-server.ts';
import type { Clock } from './users/birthday.ts';
import type { UserRepository } from './users/repository.ts';
import { userResource } from './users/routes.ts';
import { addPages } from './web/routes.ts';

/** What the HTTP server depends on. */
export interface Dependencies extends ServerParts {
  users: UserRepository;
  clock: Clock;
  version: string;
  /** The bearer token that changes require; undefined: anyone may change users. */
  writeToken?: string | undefined;
}

/** The server of the public port with all of its routes, not yet listening. */
export function createServer(dependencies: Dependencies): Server {
  const { users, clock, version, writeToken } = dependencies;
  const server = createHttpServer(dependencies, [userResource(users, clock, writeToken)]);
  addPages(server, users, clock, version, { closed: writeToken !== undefined });
  return server;
}
