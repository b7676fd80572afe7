/** The packages that a generated service is made with. Nothing is on npm yet, so the service keeps them in vendor/. */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packageRoot } from '../terminal/package-root.ts';
import { run } from '../terminal/programs.ts';
import { version } from '../terminal/version.ts';

/** The names of the tarballs by their packages. */
export const VENDORED = {
  plusone: `plusone-${version}.tgz`,
  'plusone-service': `plusone-service-${version}.tgz`,
} as const;

/** Writes both tarballs into `folder`/vendor. In a checkout of this repository they are built first. */
export async function writeVendor(folder: string): Promise<void> {
  const vendor = join(folder, 'vendor');
  mkdirSync(vendor, { recursive: true });
  const root = fileURLToPath(packageRoot);
  const source = join(root, 'tools/package');
  const isCheckout = existsSync(join(source, 'build.ts'));
  const packed = mkdtempSync(join(tmpdir(), 'plusone-pack-'));
  try {
    const options = ['pack', '--silent', ...(isCheckout ? [] : ['--ignore-scripts']), '--pack-destination', packed];
    // An installed package is in dist/, below its package.json.
    await run('npm', options, { cwd: isCheckout ? source : join(root, '..') });
    for (const name of readdirSync(packed)) copyFileSync(join(packed, name), join(vendor, VENDORED.plusone));
  } finally {
    rmSync(packed, { recursive: true });
  }
  const service = VENDORED['plusone-service'];
  copyFileSync(join(isCheckout ? join(source, 'dist') : root, 'vendor', service), join(vendor, service));
}
