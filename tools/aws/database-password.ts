import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { output } from '../terminal/programs.ts';
import { passwordParameter } from './cloud.ts';
import type { Target } from './command.ts';

/** 32 letters, digits, - and _: RDS refuses / @ " and spaces, and takes 41 at most from MySQL's. */
export function newPassword(): string {
  return randomBytes(24).toString('base64url');
}

/**
 * Puts the database's password where `copilot secret init` would (it refuses before an environment is deployed, and
 * the environment's database needs the password), with the tags that Copilot's policies go by.
 */
export async function putPassword(target: Target, password: string, { overwrite = false } = {}): Promise<void> {
  const parameter = { Name: passwordParameter(target), Type: 'SecureString', Value: password };
  const tags = [
    { Key: 'copilot-application', Value: target.application },
    { Key: 'copilot-environment', Value: target.environment },
  ];
  // AWS refuses tags together with Overwrite; those of the first time stay.
  await secretly({ ...parameter, ...(overwrite ? { Overwrite: true } : { Tags: tags }) }, 'ssm', 'put-parameter');
}

/**
 * Calls the AWS command line with input that is in no process list and no log: it goes through a file that only this
 * user can read, for as long as the call takes. (Not through stdin: the AWS command line reads its input twice.)
 */
export async function secretly(input: object, ...words: string[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'plusone-'));
  const file = join(folder, 'input.json');
  const outlive = () => undefined; // Ctrl-C ends the child, and then this comes to remove the file
  process.on('SIGINT', outlive);
  try {
    writeFileSync(file, JSON.stringify(input), { mode: 0o600 });
    await output('aws', [...words, '--cli-input-json', `file://${file}`]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    process.off('SIGINT', outlive);
  }
}
