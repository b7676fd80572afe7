/** The external programs that the make targets need: how to check and how to install them. */

import { type Finding, good, late, remedyHere, type Source, wrong } from './finding.ts';
import { Failed, output } from './programs.ts';
import { Refusal } from './refusal.ts';

const TIMEOUT_MILLISECONDS = 30_000;
const goArch = process.arch === 'arm64' ? 'arm64' : 'amd64';
const suffix = process.arch === 'arm64' ? '-arm64' : '';
const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';

interface Tool extends Source {
  readonly ask: readonly [program: string, ...args: string[]];
  /** Finds the version in its output to stdout; a program without one doesn't work. */
  readonly version: RegExp;
  /** The only supported version. */
  readonly only?: string;
}

const tools = {
  git: {
    ask: ['git', '--version'],
    version: /version (\S+)/,
    debian: 'sudo apt-get install git',
    macos: 'xcode-select --install',
  },
  make: {
    ask: ['make', '--version'],
    version: /Make (\S+)/,
    debian: 'sudo apt-get install make',
    macos: 'xcode-select --install',
  },
  docker: {
    ask: ['docker', 'version', '--format', '{{.Server.Version}}'],
    version: /(\d\S*)/,
    debian:
      'sudo apt-get install docker.io docker-buildx  (Debian 13, Ubuntu; else https://docs.docker.com/engine/install/)',
    macos: 'brew install --cask docker-desktop',
  },
  'docker buildx': {
    ask: ['docker', 'buildx', 'version'],
    version: /buildx v?(\S+)/,
    debian: 'sudo apt-get install docker-buildx  (docker-buildx-plugin from Docker’s own repository)',
    macos: 'brew install docker-buildx  (it is part of Docker Desktop)',
  },
  kind: {
    ask: ['kind', 'version'],
    version: /kind v(\S+)/,
    debian: `curl -fLo kind https://kind.sigs.k8s.io/dl/v0.30.0/kind-linux-${goArch} && sudo install kind /usr/local/bin/`,
    macos: 'brew install kind',
  },
  kubectl: {
    ask: ['kubectl', 'version', '--client'],
    version: /Client Version: v(\S+)/,
    debian: `curl -fLo kubectl https://dl.k8s.io/release/v1.34.2/bin/linux/${goArch}/kubectl && sudo install kubectl /usr/local/bin/`,
    macos: 'brew install kubectl',
  },
  copilot: {
    ask: ['copilot', '--version'],
    version: /v(\d\S*)/,
    // The last release; copilot/*/overrides/ patches its templates.
    only: '1.34.1',
    debian: `curl -fLo copilot https://github.com/aws/copilot-cli/releases/download/v1.34.1/copilot-linux${suffix} && sudo install copilot /usr/local/bin/`,
    macos: `curl -fLo copilot https://github.com/aws/copilot-cli/releases/download/v1.34.1/copilot-darwin${suffix} && sudo install copilot /usr/local/bin/`,
  },
  aws: {
    ask: ['aws', '--version'],
    version: /aws-cli\/(\S+)/,
    debian: `curl -fLo awscli.zip https://awscli.amazonaws.com/awscli-exe-linux-${machine}.zip && unzip -q awscli.zip && sudo ./aws/install`,
    macos: 'brew install awscli',
  },
  python3: {
    // Python of Debian and Ubuntu comes without venv.
    ask: ['python3', '-c', 'import ensurepip, platform; print("Python", platform.python_version())'],
    version: /Python (\S+)/,
    debian: 'sudo apt-get install python3-venv',
    macos: 'brew install python',
  },
  openssl: {
    ask: ['openssl', 'version'],
    version: /SSL (\S+)/,
    debian: 'sudo apt-get install openssl',
    macos: 'brew install openssl',
  },
  go: {
    ask: ['go', 'version'],
    version: /go(\d\S*)/,
    debian: 'sudo apt-get install golang-go',
    macos: 'brew install go',
  },
  cargo: {
    ask: ['cargo', '--version'],
    version: /cargo (\d\S*)/,
    debian: 'sudo apt-get install cargo',
    macos: 'brew install rust',
  },
  wrk: {
    ask: ['wrk', '--version'],
    version: /wrk \S*?(\d+\.\d+\.\d+)/,
    debian: 'sudo apt-get install wrk',
    macos: 'brew install wrk',
  },
} satisfies Record<string, Tool>;

export type ToolName = keyof typeof tools;

/** Checks that a tool is installed and works, by its version, within `limitMilliseconds`. */
export async function lookAtTool(name: ToolName, limitMilliseconds = TIMEOUT_MILLISECONDS): Promise<Finding> {
  const tool: Tool = tools[name];
  const [program, ...args] = tool.ask;
  const failure = await output(program, args, { limitMilliseconds }).catch((error: unknown) => error);
  if (failure instanceof Failed && failure.isMissing) return wrong('is not installed', remedyHere(tool));
  // Some exit with 1 after printing their version.
  const answer = failure instanceof Failed ? failure.stdout : String(failure);
  const [, version] = tool.version.exec(answer) ?? [];
  if (version !== undefined) {
    return tool.only === undefined || version === tool.only
      ? good(version)
      : wrong(`is ${version}; only ${tool.only} is supported`, remedyHere(tool));
  }
  if (!(failure instanceof Failed)) return wrong(`is installed, but prints no version: ${answer}`, remedyHere(tool));
  if (name === 'docker') return engineProblem(failure);
  return failure.isLate ? late(failure) : wrong(`does not work: ${failure.message}`, remedyHere(tool));
}

/**
 * Checks these tools. `advice` ends the message: what the user of this program can do next.
 * @throws {Refusal} naming each one that is missing or does not work, with the command that installs it
 */
export async function requireTools(
  names: readonly ToolName[],
  advice = 'make doctor checks all requirements.',
): Promise<void> {
  const findings = await Promise.all(names.map(async (name) => ({ name, ...(await lookAtTool(name)) })));
  const problems = findings
    .filter(({ mark }) => mark === '✗')
    .map(({ name, says, remedy = [] }) => [`${name} ${says}`, ...remedy.map((line) => `  ${line}`)].join('\n'));
  if (problems.length > 0) throw new Refusal(`missing:\n\n${problems.join('\n\n')}\n\n${advice}`);
}

function engineProblem({ message, stderr }: Failed): Finding {
  const remedy = stderr.includes('permission denied')
    ? ['Debian, Ubuntu: sudo usermod -aG docker $USER, then log in again']
    : [remedyHere({ debian: 'sudo systemctl start docker', macos: 'open -a Docker' })];
  return wrong(`is installed, but its engine does not respond: ${stderr || message}`, ...remedy);
}
