/**
 * `make doctor`: checks everything that the make targets need, concurrently, and prints the command that installs what is
 * missing. FOR=dev, kind, aws or bench checks one purpose. Exits with 1 if that, or what `make dev` and `make test` need,
 * is missing. It runs before anything is installed, so it uses no dependency.
 */

import { regionOf } from '../aws/credentials.ts';
import { type Finding, late, note, remedyHere, wrong } from '../terminal/finding.ts';
import { messageOf } from '../terminal/message.ts';
import { Failed } from '../terminal/programs.ts';
import { lookAtTool, type ToolName } from '../terminal/requirements.ts';
import { lookAtCertificates } from './certificates.ts';
import { chromium, findChromium, lookAtDisk, lookAtDockerRoom, lookAtMemory, lookAtNode } from './machine.ts';
import { lookAtCluster, lookAtCredentials, lookAtDatabase, lookAtDependencies, lookAtPort } from './state.ts';

/** As in sysexits.h. */
const USAGE_ERROR = 64;
/** All checks together take less than three seconds, even if a program hangs. */
const LIMIT_MILLISECONDS = 2_500;
const NAME_WIDTH = 14;

interface Check {
  readonly name: string;
  readonly finding: Promise<Finding>;
}

interface Group {
  readonly title: string;
  /** Starts the checks. */
  readonly checks: () => Check[];
}

interface Purpose extends Group {
  /** The commands that a problem prevents. */
  readonly commands: string;
}

const ports = { PORT: process.env.PORT || '5000', METRICS_PORT: process.env.METRICS_PORT || '9464' } as const;
const asked = new Map<string, Promise<Finding>>();

const everything: Group = {
  title: 'For everything',
  checks: () => [
    tool('git'),
    tool('make'),
    check('Node', lookAtNode),
    check('dependencies', async () => lookAtDependencies()),
    check('disk', async () => lookAtDisk()),
    check('memory', async () => lookAtMemory()),
  ],
};

const purposes = {
  dev: {
    title: 'To run and test it: make dev, make test',
    commands: 'make dev and make test',
    checks: () => [
      check('database', () => lookAtDatabase(LIMIT_MILLISECONDS)),
      port('PORT'),
      port('METRICS_PORT'),
      check('Chromium', async () => lookAtChromium()),
      optional('python3', 'make test skips the tests with an SSM server'),
      optional('openssl', 'make test skips TLS to MySQL'),
    ],
  },
  kind: {
    title: 'In a kind cluster: make up',
    commands: 'make up',
    checks: () => [
      tool('docker'),
      tool('docker buildx'),
      check("Docker's room", () => lookAtDockerRoom(LIMIT_MILLISECONDS)),
      tool('kind'),
      tool('kubectl'),
      check('cluster', () => lookAtCluster(LIMIT_MILLISECONDS)),
    ],
  },
  aws: {
    title: 'On AWS: make infra-plan, make infra-create, make publish',
    commands: 'the commands for AWS',
    checks: () => [
      tool('copilot'),
      tool('aws'),
      tool('docker'),
      check('credentials', () => lookAtCredentials(LIMIT_MILLISECONDS)),
      check('RDS CA', () => lookAtCertificates(regionOf(process.env))),
    ],
  },
  bench: {
    title: 'To measure it: make bench',
    commands: 'make bench',
    checks: () => [
      tool('wrk'),
      optional('go', 'make bench skips the Go server, and make secrets does not run'),
      optional('cargo', 'make bench skips the Rust server'),
    ],
  },
} satisfies Record<string, Purpose>;

process.exit(await main());

async function main(): Promise<number> {
  const { FOR = '' } = process.env;
  if (FOR !== '' && !isPurpose(FOR)) {
    process.stderr.write(
      `FOR=${FOR}: expected ${Object.keys(purposes).join(', ')}, or nothing to look at all of them\n`,
    );
    return USAGE_ERROR;
  }
  const shown: Group[] = [everything, ...(FOR === '' ? Object.values(purposes) : [purposes[FOR]])];
  const needed: Purpose = purposes[FOR || 'dev'];
  let problems = 0;
  // All checks start before the first is awaited.
  for (const { group, checks } of shown.map((group) => ({ group, checks: group.checks() }))) {
    process.stdout.write(`${group.title}\n`);
    for (const { name, finding } of checks) {
      const found = await finding;
      print(name, found);
      if (found.mark === '✗' && (group === everything || group === needed)) problems += 1;
    }
    process.stdout.write('\n');
  }
  const { commands } = needed;
  process.stdout.write(
    problems === 0
      ? `Everything for ${commands} is available.\n`
      : `${problems === 1 ? '1 problem prevents' : `${problems} problems prevent`} ${commands}.\n`,
  );
  return problems === 0 ? 0 : 1;
}

function isPurpose(name: string): name is keyof typeof purposes {
  return Object.hasOwn(purposes, name);
}

function check(name: string, look: () => Promise<Finding>): Check {
  return { name, finding: look().catch(explain) };
}

/** Checks a tool once, even if several purposes need it. */
function tool(name: ToolName): Check {
  const finding = asked.get(name) ?? lookAtTool(name, LIMIT_MILLISECONDS);
  asked.set(name, finding);
  return { name, finding };
}

function optional(name: ToolName, without: string): Check {
  const finding = tool(name).finding.then(({ mark, says, remedy = [] }) =>
    mark === '✓' ? { mark, says } : note(`${says}; ${without}`, ...remedy),
  );
  return { name, finding };
}

function port(variable: keyof typeof ports): Check {
  const value = ports[variable];
  const isPort = /^\d{1,5}$/.test(value) && Number(value) >= 1 && Number(value) <= 65_535;
  return check(`port ${value}`, async () =>
    isPort ? await lookAtPort(variable, Number(value)) : wrong(`${variable} must be a port from 1 to 65535`),
  );
}

function lookAtChromium(): Finding {
  const path = findChromium();
  return path === undefined
    ? note('is not installed; make test skips the page in a browser', remedyHere(chromium))
    : { mark: '✓', says: path };
}

/** A failed check as a finding; the error often says what to do. */
function explain(error: unknown): Finding {
  if (error instanceof Failed && error.isLate) return late(error);
  return wrong(messageOf(error));
}

function print(name: string, { mark, says, remedy = [] }: Finding): void {
  const indent = ' '.repeat(NAME_WIDTH + 4);
  const [first = '', ...rest] = says.split('\n');
  process.stdout.write(`  ${mark} ${name.padEnd(NAME_WIDTH)}${first}\n`);
  for (const line of [...rest, ...remedy.map((line) => `→ ${line}`)]) process.stdout.write(`${indent}${line}\n`);
}
