import { spawn } from 'node:child_process';
import { once } from 'node:events';

const FOLDER = new URL('../../../tools/terminal/', import.meta.url).href;

/**
 * Runs a script in a separate process, with everything in tools/terminal/ imported; `before` runs before the imports.
 * Its stdout and stderr are not terminals.
 */
export async function runScript(script: string, env: NodeJS.ProcessEnv = {}, before = '') {
  const load = ['progress', 'programs', 'refusal', 'make-target']
    .map((name) => `...(await import('${FOLDER}${name}.ts'))`)
    .join(', ');
  const source = `${before};
    const { step, say, duration, output, run, Refusal, makeTarget } = { ${load} };
    ${script}`;
  const { VERBOSE: _, ...rest } = process.env;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source], {
    env: { ...rest, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [code] = await once(child, 'close');
  return { code: Number(code), stdout, stderr };
}
