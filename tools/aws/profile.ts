import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/**
 * Runs `work` with a named profile. `copilot env init` accepts credentials only from one, or as arguments, which other users
 * can read. For credentials in the environment this is a temporary profile; its file contains no secret, but names a command
 * that prints them (https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html).
 */
export async function withProfile(
  region: string,
  work: (profile: string, env: NodeJS.ProcessEnv) => Promise<void>,
): Promise<void> {
  if (process.env.AWS_PROFILE || !process.env.AWS_ACCESS_KEY_ID) {
    return work(process.env.AWS_PROFILE || 'default', process.env);
  }
  const folder = mkdtempSync(join(tmpdir(), 'plusone-'));
  try {
    const printer = resolve(import.meta.dirname, 'print-credentials.ts');
    // `env` only because for Copilot's SDK a value that begins with a quote ends at the next quote.
    const profile = [
      '[profile environment]',
      `region = ${region}`,
      `credential_process = env "${process.execPath}" "${printer}"`,
    ];
    writeFileSync(join(folder, 'config'), `${profile.join('\n')}\n`);
    await work('environment', { ...process.env, AWS_CONFIG_FILE: join(folder, 'config') });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
