import { type ExecFileException, execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { kubeconfigOf } from '../../local-kind/application.ts';
import { eventually } from '../../tools/process/eventually.ts';
import { freePort } from '../../tools/process/free-port.ts';
import { output } from '../../tools/terminal/programs.ts';
import { Refusal } from '../../tools/terminal/refusal.ts';
import { requireTools } from '../../tools/terminal/requirements.ts';
import { skipWithout } from '../skip.ts';

const cli = fileURLToPath(new URL('../../tools/cli.ts', import.meta.url));

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** A copy of a sample workspace, and its cluster; `program` is the `plusone` under test. */
export class Application {
  readonly folder: string;
  readonly cluster: string;
  private readonly program: string;
  private port = 0;

  constructor(sample: string, program = cli) {
    this.folder = mkdtempSync(join(tmpdir(), `${sample}-`));
    cpSync(fileURLToPath(new URL(`../workspaces/${sample}`, import.meta.url)), this.folder, { recursive: true });
    this.cluster = `plusone-test-${sample}`;
    this.program = program;
  }

  /** Runs a command of `plusone` in a folder of the workspace, to its end. */
  plusone(command: readonly string[], below = ''): Promise<Ended> {
    const [words, rest] = command.includes('--')
      ? [command.slice(0, command.indexOf('--')), command.slice(command.indexOf('--'))]
      : [command, []];
    const args = [this.program, ...words, '--cluster', this.cluster, ...rest];
    return new Promise((resolve) => {
      const finish = (error: ExecFileException | null, stdout: string, stderr: string) =>
        resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr });
      execFile(process.execPath, args, { cwd: join(this.folder, below), maxBuffer: 1 << 26 }, finish);
    });
  }

  /** The stdout of kubectl in the namespace of the application. */
  kubectl(words: readonly string[]): Promise<string> {
    const namespace =
      /application: (\S+)/.exec(readFileSync(join(this.folder, 'copilot/.workspace'), 'utf8'))?.[1] ?? '';
    return output('kubectl', ['--kubeconfig', kubeconfigOf(this.cluster), '-n', namespace, ...words]);
  }

  async up(): Promise<Ended> {
    if (this.port !== 0) return await this.plusone(['up']);
    this.port = await freePort();
    return await this.plusone(['up', '--port', String(this.port)]);
  }

  /** The body of the response at that path, with the status before it unless it is 2xx. */
  async ask(path: string, method = 'GET'): Promise<string> {
    const url = `http://localhost:${this.port}${path}`;
    const response = await fetch(url, { method, signal: AbortSignal.timeout(5000) }).catch(() => undefined);
    const body = (await response?.text()) ?? 'nothing';
    return response?.ok ? body : `${response?.status} ${body}`;
  }

  async answers(path: string, expected: string, seconds = 30): Promise<void> {
    await eventually(async () => (await this.ask(path)) === expected, seconds);
  }

  edit(file: string, change: (text: string) => string): void {
    const path = join(this.folder, file);
    writeFileSync(path, change(readFileSync(path, 'utf8')));
  }

  /** Deletes the cluster and the copy. */
  async end(): Promise<void> {
    await this.plusone(['down']);
    rmSync(this.folder, { recursive: true });
  }
}

/** Skips a suite if a program that a cluster needs is missing. */
export async function needsCluster(context: Mocha.Context): Promise<void> {
  try {
    await requireTools(['docker', 'docker buildx', 'kind', 'kubectl']);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    skipWithout(context, 'kind', `a cluster needs these programs ${error.message}`);
  }
}
