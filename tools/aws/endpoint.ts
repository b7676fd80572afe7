import { randomBytes } from 'node:crypto';
import { Failed, output } from '../terminal/programs.ts';

/**
 * Whether what answers for AWS takes credentials that nobody issued. AWS never does; an emulator does, and nothing
 * that is done to it costs anything or is missed.
 */
export async function acceptsAnyone(): Promise<boolean> {
  const { AWS_PROFILE: _, AWS_SESSION_TOKEN: __, ...rest } = process.env;
  const nobody = {
    AWS_ACCESS_KEY_ID: `AKIA${randomBytes(8).toString('hex').toUpperCase()}`,
    AWS_SECRET_ACCESS_KEY: randomBytes(20).toString('hex'),
    AWS_MAX_ATTEMPTS: '1',
  };
  try {
    const patience = ['--cli-connect-timeout', '5', '--cli-read-timeout', '10'];
    await output('aws', ['sts', 'get-caller-identity', ...patience], { env: { ...rest, ...nobody } });
    return true;
  } catch (error) {
    if (error instanceof Failed) return false;
    throw error;
  }
}
