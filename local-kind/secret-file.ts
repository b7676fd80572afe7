/** `plusone.env`: the values of the secrets of a workspace on this machine. */
import { appendFileSync, chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inputs, qualified, skeleton } from '../k8s/inputs.ts';
import { secretInputs } from '../k8s/variables.ts';
import type { Workload } from '../k8s/workload.ts';
import { readEnvironmentFile } from '../manifest/environment-file.ts';
import { displayed } from '../manifest/workspace.ts';
import { output } from '../tools/terminal/programs.ts';

export const SECRET_FILE = 'plusone.env';

/**
 * The values in plusone.env of the workspace, and those that `lookUp` finds for other keys. Keys without a value are
 * added to the file, each with its AWS source, unless `created` has them (`web.TOKEN`); Git ignores the file. Throws a
 * DocumentError.
 */
export async function readSecretFile(
  root: string,
  workloads: readonly Workload[],
  created: ReadonlySet<string>,
  lookUp: (given: ReadonlyMap<string, string>) => Promise<ReadonlyMap<string, string>> = async () => new Map(),
): Promise<Map<string, string>> {
  const file = join(root, SECRET_FILE);
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const given = readEnvironmentFile(text, displayed(file));
  const found = await lookUp(given);
  const values = new Map([...given, ...found]);
  const isKnown = (key: string) => found.has(key) || created.has(key);
  const wanted = workloads.map((workload) => {
    const { manifest } = workload;
    // Secrets of addons are generated.
    const stated = secretInputs(workload).filter(({ remote, source }) => remote !== undefined || /export/.test(source));
    return { manifest, wanted: inputs(stated.filter(({ key }) => !isKnown(qualified(manifest, key)))) };
  });
  const [, ...lines] = skeleton(wanted, '')?.trimEnd().split('\n') ?? [];
  const missing = lines.filter((line, i) => {
    const key = line.startsWith('#') ? lines.slice(i).find((next) => !next.startsWith('#')) : line;
    return key !== undefined && !given.has(key.replace(/=$/, ''));
  });
  if (missing.length === 0) return values;
  const head =
    text === '' ? '# The secrets of this workspace on this machine, a NAME=value on each line. Not for Git.\n' : '';
  writeFileSync(file, `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${head}${missing.join('\n')}\n`, {
    mode: 0o600,
  });
  chmodSync(file, 0o600);
  await keepOutOfGit(root);
  return values;
}

async function keepOutOfGit(root: string): Promise<void> {
  const isRepository = await output('git', ['-C', root, 'rev-parse', '--git-dir']).then(
    () => true,
    () => false,
  );
  if (!isRepository) return;
  const isIgnored = await output('git', ['-C', root, 'check-ignore', SECRET_FILE]).then(
    () => true,
    () => false,
  );
  if (isIgnored) return;
  const file = join(root, '.gitignore');
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  appendFileSync(file, `${text === '' || text.endsWith('\n') ? '' : '\n'}${SECRET_FILE}\n`);
}
