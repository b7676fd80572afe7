import { Failed, output, withoutSecrets } from '../terminal/programs.ts';
import { Refusal } from '../terminal/refusal.ts';

/** The identity of the AWS credentials. */
export interface Identity {
  account: string;
  /** The user or role, as an ARN. */
  arn: string;
}

/** The region of the commands. */
export function regionOf(env: NodeJS.ProcessEnv): string {
  return env.AWS_REGION || env.AWS_DEFAULT_REGION || 'us-west-2';
}

/**
 * Asks AWS for the identity of the credentials, for `limitMilliseconds` at most.
 * @throws {Refusal} if there are none, if they are invalid, or if AWS does not answer
 */
export async function identity(limitMilliseconds = 30_000): Promise<Identity> {
  const question = ['sts', 'get-caller-identity', '--query', '[Account,Arn]', '--output', 'text'];
  try {
    const [account = '', arn = ''] = (await output('aws', question, { limitMilliseconds })).split(/\s+/);
    return { account, arn };
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    throw new Refusal(error.isMissing ? error.message : credentialsProblem(error.stderr || error.message));
  }
}

/** What to do about credentials that AWS or the AWS CLI refused with this message. */
export function credentialsProblem(message: string): string {
  const profile = process.env.AWS_PROFILE ? ` --profile ${process.env.AWS_PROFILE}` : '';
  if (/Unable to locate credentials|could not be found/.test(message)) {
    return 'no AWS credentials: set AWS_PROFILE to a profile of `aws configure list-profiles`, or run `aws configure`';
  }
  if (/[Ee]xpired/.test(message)) {
    return `the AWS credentials have expired: \`aws sso login${profile}\`, or get new ones the way you got these`;
  }
  if (/InvalidClientTokenId|SignatureDoesNotMatch|AuthFailure/.test(message)) {
    return `the AWS credentials are invalid (${process.env.AWS_ACCESS_KEY_ID ? 'AWS_ACCESS_KEY_ID is set' : 'profile' + profile})`;
  }
  return `cannot check the AWS credentials: ${withoutKeys(message.trim())}`;
}

/** If a key contains a newline, the AWS CLI quotes the header with the keys. */
function withoutKeys(message: string): string {
  return withoutSecrets(message).replace(/Credential=[^\s,]+/g, 'Credential=…');
}
