import { randomBytes } from 'node:crypto';
import { Failed, output } from '../terminal/programs.ts';

/**
 * Whether the AWS endpoint is an emulator: it accepts random credentials, which AWS never does. What is done to an emulator
 * costs nothing.
 */
export async function isEmulator(): Promise<boolean> {
  const { AWS_PROFILE: _, AWS_SESSION_TOKEN: __, ...rest } = process.env;
  const randomCredentials = {
    AWS_ACCESS_KEY_ID: `AKIA${randomBytes(8).toString('hex').toUpperCase()}`,
    AWS_SECRET_ACCESS_KEY: randomBytes(20).toString('hex'),
    AWS_MAX_ATTEMPTS: '1',
  };
  try {
    const timeouts = ['--cli-connect-timeout', '5', '--cli-read-timeout', '10'];
    await output('aws', ['sts', 'get-caller-identity', ...timeouts], { env: { ...rest, ...randomCredentials } });
    return true;
  } catch (error) {
    if (error instanceof Failed) return false;
    throw error;
  }
}
