import { Failed, output, withoutSecrets } from '../terminal/programs.ts';
import { Refusal } from '../terminal/refusal.ts';

/** Whom AWS takes us for. */
export interface Identity {
  account: string;
  /** The user or role, as an ARN. */
  arn: string;
}

/** The region that the commands work in. */
export function regionOf(env: NodeJS.ProcessEnv): string {
  return env.AWS_REGION || env.AWS_DEFAULT_REGION || 'us-west-2';
}

/**
 * Whose the credentials are, by asking AWS; for `limitMilliseconds` at most. Throws Refusal when there are none, when
 * they are no good, or when AWS does not answer.
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

/** What to do about credentials that AWS or its command line refused with this message. */
export function credentialsProblem(message: string): string {
  const profile = process.env.AWS_PROFILE ? ` --profile ${process.env.AWS_PROFILE}` : '';
  if (/Unable to locate credentials|could not be found/.test(message)) {
    return 'no AWS credentials: set AWS_PROFILE to a profile of `aws configure list-profiles`, or run `aws configure`';
  }
  if (/[Ee]xpired/.test(message)) {
    return `the AWS credentials have expired: \`aws sso login${profile}\`, or however you got them`;
  }
  if (/InvalidClientTokenId|SignatureDoesNotMatch|AuthFailure/.test(message)) {
    return `AWS knows no such credentials (${process.env.AWS_ACCESS_KEY_ID ? 'AWS_ACCESS_KEY_ID is set' : 'profile' + profile})`;
  }
  return `AWS doesn't say whose the credentials are: ${withoutKeys(message.trim())}`;
}

/** When a key has a line end in it, the AWS command line quotes the header that the keys are in. */
function withoutKeys(message: string): string {
  return withoutSecrets(message).replace(/Credential=[^\s,]+/g, 'Credential=…');
}
