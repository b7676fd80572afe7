import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import type { Fields } from '../manifest/fields.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { displayed, MissingInput } from '../manifest/workspace.ts';

/** A Static Site as a web service with an unprivileged user, which writes to /tmp only. */
export function siteFields(fields: Fields): Fields {
  const http = typeof fields.http === 'object' ? fields.http : {};
  return {
    ...fields,
    image: { build: {}, port: 8080 },
    http: { ...http, deregistration_delay: 5, healthcheck: { path: HEALTH } },
    storage: { readonly_fs: true },
  };
}

/** The path of the probes, because a site may have no index.html. */
const HEALTH = '/.healthz';

/** The user of the official image of nginx. */
export const siteUser = '101';

/**
 * The files of a Static Site in that workspace: the location of each by its path on the site; later ones win. Patterns
 * of `exclude` and `reinclude` match the path from the source or from the workspace. Throws MissingInput for a source
 * that does not exist.
 * https://aws.github.io/copilot-cli/docs/manifest/static-site/
 */
export function siteFiles(
  { fields, file, lineOf }: Pick<Manifest, 'fields' | 'file' | 'lineOf'>,
  root: string,
): Map<string, string> {
  return new Map(
    (fields.files ?? []).flatMap(
      ({ source = '', destination = '', recursive = false, exclude = [], reinclude = [] }, i) => {
        const from = join(root, source);
        if (!existsSync(from)) {
          const line = lineOf(['files', i, 'source']);
          throw new MissingInput(`${file}:${line}: files[${i}].source ${source}: ${displayed(from)} does not exist`);
        }
        return filesBelow(from, recursive)
          .filter((file) => {
            const matches = (patterns: readonly string[]) =>
              patterns.some((pattern) => [from, root].some((base) => matcher(pattern).test(relative(base, file))));
            return !matches(exclude) || matches(reinclude);
          })
          .map((file) => {
            const below = relative(from, file);
            const path = join(destination, below) === '.' ? basename(file) : join(destination, below);
            return [path.split(sep).join('/'), file] as const;
          });
      },
    ),
  );
}

function filesBelow(path: string, recursive: boolean): string[] {
  if (statSync(path).isFile()) return [path];
  const entries = readdirSync(path, { withFileTypes: true, recursive });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}

/** As Go's filepath.Match: `*` and `?` match no slash, `[...]` is a class. */
function matcher(pattern: string): RegExp {
  const text = pattern
    .replace(/^\.\//, '')
    .replaceAll(/[.+^${}()|]/g, '\\$&')
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]');
  try {
    return new RegExp(`^${text}$`);
  } catch {
    return /$^/;
  }
}

/** Writes the build context of a Static Site's image: its files, a configuration of nginx and a Dockerfile. */
export function writeSite(folder: string, files: ReadonlyMap<string, string>) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, 'files'), { recursive: true });
  for (const [path, file] of files) {
    const copy = join(folder, 'files', path);
    mkdirSync(dirname(copy), { recursive: true });
    copyFileSync(file, copy);
  }
  writeFileSync(join(folder, 'nginx.conf'), configuration);
  writeFileSync(join(folder, 'Dockerfile'), dockerfile);
}

const dockerfile = `FROM nginx:1.27
COPY nginx.conf /etc/nginx/nginx.conf
COPY files /usr/share/nginx/html
USER ${siteUser}
`;

/** nginx as an unprivileged user on a read-only file system; paths are rewritten as CloudFront does for Copilot. */
const configuration = `worker_processes 1;
pid /tmp/nginx.pid;
error_log stderr warn;
events {}
http {
  include mime.types;
  access_log /dev/stdout;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  server_tokens off;
  gzip on;
  gzip_types text/css text/javascript application/javascript application/json image/svg+xml;
  server {
    listen 8080;
    root /usr/share/nginx/html;
    location / { try_files $uri $uri/index.html =404; }
    location = ${HEALTH} { access_log off; return 204; }
  }
}
`;
