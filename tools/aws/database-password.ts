import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { output } from '../terminal/programs.ts';
import { passwordParameter } from './cloud.ts';
import type { Target } from './command.ts';

/** 32 letters, digits, - and _: RDS for MySQL refuses / @ " and spaces, and more than 41 characters. */
export function newPassword(): string {
  return randomBytes(24).toString('base64url');
}

/**
 * Stores the database's password in the parameter and with the tags of `copilot secret init`, which requires a deployed
 * environment: the environment's database needs the password.
 */
export async function putPassword(target: Target, password: string, { overwrite = false } = {}): Promise<void> {
  const parameter = { Name: passwordParameter(target), Type: 'SecureString', Value: password };
  const tags = [
    { Key: 'copilot-application', Value: target.application },
    { Key: 'copilot-environment', Value: target.environment },
  ];
  // AWS refuses tags together with Overwrite; the parameter keeps its tags.
  await awsWithSecret({ ...parameter, ...(overwrite ? { Overwrite: true } : { Tags: tags }) }, 'ssm', 'put-parameter');
}

/**
 * Runs the AWS CLI with input that contains a secret. The input is in a file that only this user can read, until the call
 * ends, so it is in no process list and no log. (Not on stdin: the AWS CLI reads its input twice.)
 */
export async function awsWithSecret(input: object, ...words: string[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'plusone-'));
  const file = join(folder, 'input.json');
  const ignore = () => undefined; // Ctrl-C ends the child; then this process removes the file.
  process.on('SIGINT', ignore);
  try {
    writeFileSync(file, JSON.stringify(input), { mode: 0o600 });
    await output('aws', [...words, '--cli-input-json', `file://${file}`]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    process.off('SIGINT', ignore);
  }
}
