import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What came of a command. */
export interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** A command that is still running. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** What it wrote so far, to stdout and stderr. */
  output(): string;
  /** What Ctrl-C does: a signal to all programs of the terminal. */
  interrupt(signal?: NodeJS.Signals): void;
}

/**
 * A terminal in which the README's commands are typed as they stand there. Its curl finds the README's ports at others
 * of 127.0.0.1, so that nothing has to be free here but those; and it fails where the answer is an error.
 */
export class Shell {
  readonly #folder = mkdtempSync(join(tmpdir(), 'plusone-readme-'));
  readonly #env: NodeJS.ProcessEnv;

  /** `ports`: what a port of the README is here. `env`: variables, of which undefined ones are taken away. */
  constructor(ports: Readonly<Record<number, number>>, env: NodeJS.ProcessEnv = {}) {
    const redirected = Object.entries(ports).map(
      ([port, here]) => `connect-to = "localhost:${port}:127.0.0.1:${here}"`,
    );
    writeFileSync(
      join(this.#folder, '.curlrc'),
      ['fail', 'silent', 'show-error', 'max-time = 20', ...redirected].join('\n'),
    );
    // This may run under make itself, which leaves word to every make below it.
    const make = { MAKEFLAGS: undefined, MFLAGS: undefined, MAKELEVEL: undefined };
    this.#env = { ...process.env, ...make, CURL_HOME: this.#folder, ...env };
  }

  /** Types a command, and `input` after it. */
  start(command: string, input = ''): Running {
    const child = spawn('bash', ['-c', command], { env: this.#env, stdio: 'pipe', detached: true });
    child.stdin.on('error', () => {}).end(input);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    return {
      child,
      ended: once(child, 'close').then(([code]) => ({ code, output })),
      output: () => output,
      interrupt: (signal = 'SIGINT') => {
        const runs = child.exitCode === null && child.signalCode === null;
        if (child.pid !== undefined && runs) process.kill(-child.pid, signal);
      },
    };
  }

  /** Types a command and waits for its end. */
  async type(command: string, input = ''): Promise<Ended> {
    return await this.start(command, input).ended;
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
