import { readFileSync } from 'node:fs';
import {
  commonPages,
  createHttpServer,
  describeService,
  getAndHead,
  type OpenResource,
  page,
  type Server,
  type ServerParts,
  type ServiceParts,
  servePages,
  TYPES,
} from 'plusone-service';

const asset = (name: string) => readFileSync(new URL(`./page/${name}`, import.meta.url), 'utf8');

/** The server of the public port with all of its routes, not yet listening. With a `writeToken`, changes require it. */
export function createServer(
  parts: ServerParts,
  resources: readonly OpenResource[],
  version: string,
  { port, writeToken }: Pick<ServiceParts['config'], 'port' | 'writeToken'>,
): Server {
  const { index, contract } = describeService({
    name: 'widget-service',
    version,
    summary: 'A REST service.',
    closed: writeToken !== undefined,
    resources: resources.map(({ api }) => api),
  });
  const server = createHttpServer(
    parts,
    resources.map(({ one }) => one),
  );
  for (const { api, list } of resources) getAndHead(server, api.path, list);
  servePages(server, [
    page('/', TYPES.json, JSON.stringify(index)),
    page('/', TYPES.html, asset('page.html')),
    page('/assets/page.js', TYPES.js, asset('page.js')),
    page('/assets/icon.svg', TYPES.svg, asset('icon.svg')),
    ...commonPages(contract, port),
  ]);
  return server;
}
