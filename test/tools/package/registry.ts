import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { basename } from 'node:path';
import { z } from 'zod';

const packageJson = z.looseObject({ name: z.string(), version: z.string() });

/** A registry of npm on this machine that has the packages of these tarballs, and refers to `upstream` for all others. */
export async function startRegistry(tarballs: readonly string[], upstream: string): Promise<Server & { url: string }> {
  let url = '';
  const packages = new Map(
    tarballs.map((path) => {
      const text = execFileSync('tar', ['-xzOf', path, 'package/package.json'], { encoding: 'utf8' });
      return [packageJson.parse(JSON.parse(text)), path] as const;
    }),
  );
  const server = createServer((request, response) => {
    for (const [stated, path] of packages) {
      const { name, version } = stated;
      const file = readFileSync(path);
      if (request.url === `/${name}`) {
        const integrity = `sha512-${createHash('sha512').update(file).digest('base64')}`;
        const dist = { tarball: `${url}/${name}/-/${basename(path)}`, integrity };
        response.setHeader('content-type', 'application/json');
        response.end(
          JSON.stringify({ name, 'dist-tags': { latest: version }, versions: { [version]: { ...stated, dist } } }),
        );
        return;
      }
      if (request.url === `/${name}/-/${basename(path)}`) {
        response.end(file);
        return;
      }
    }
    // Restify, where it is loaded, has writeHead return nothing.
    response.writeHead(307, { location: new URL(request.url ?? '/', upstream).href });
    response.end();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the registry has no port');
  url = `http://127.0.0.1:${address.port}`;
  return Object.assign(server, { url });
}
