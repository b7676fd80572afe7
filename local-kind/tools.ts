import { Failed, output, Refusal } from './terminal.ts';

const arch = process.arch === 'arm64' ? 'arm64' : 'amd64';

const tools = [
  {
    name: 'docker',
    check: ['docker', 'version', '--format', '{{.Server.Version}}'],
    linux:
      'sudo apt-get install docker.io docker-buildx   (Ubuntu, Debian 13; else https://docs.docker.com/engine/install/)',
    macos: 'brew install --cask docker-desktop',
  },
  {
    name: 'docker buildx',
    check: ['docker', 'buildx', 'version'],
    linux: 'sudo apt-get install docker-buildx             (docker-buildx-plugin from Docker’s own repository)',
    macos: 'part of Docker Desktop; else brew install docker-buildx',
  },
  {
    name: 'kind',
    check: ['kind', 'version'],
    linux: `curl -fLo kind https://kind.sigs.k8s.io/dl/v0.30.0/kind-linux-${arch} && sudo install kind /usr/local/bin/`,
    macos: 'brew install kind',
  },
  {
    name: 'kubectl',
    check: ['kubectl', 'version', '--client'],
    linux: `curl -fLo kubectl https://dl.k8s.io/release/v1.34.2/bin/linux/${arch}/kubectl && sudo install kubectl /usr/local/bin/`,
    macos: 'brew install kubectl',
  },
] as const;

/** Throws a Refusal that names every tool that is missing or does not work, with how to get it. */
export async function requireTools(): Promise<void> {
  const problems = await Promise.all(
    tools.map(async ({ name, check: [program, ...args], linux, macos }) => {
      try {
        await output(program, args);
        return [];
      } catch (error) {
        if (!(error instanceof Failed)) throw error;
        const { cause, stderr } = error;
        const missing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
        if (name === 'docker' && !missing) return [daemonProblem(stderr)];
        // Without docker there is no telling; whoever installs it gets buildx by the same line.
        if (name === 'docker buildx' && missing) return [];
        return [`${name} is not installed\n  Debian, Ubuntu  ${linux}\n  macOS           ${macos}`];
      }
    }),
  );
  const lines = problems.flat();
  if (lines.length > 0) throw new Refusal(`first:\n\n${lines.join('\n\n')}`);
}

function daemonProblem(reason: string): string {
  const remedy = reason.includes('permission denied')
    ? '  Debian, Ubuntu  sudo usermod -aG docker $USER, then log in again'
    : '  Debian, Ubuntu  sudo systemctl start docker\n  macOS           open -a Docker';
  return `docker is installed, but its daemon does not answer: ${reason.replaceAll('\n', '\n  ')}\n${remedy}`;
}
