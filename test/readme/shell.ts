import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The result of a command that has ended. */
export interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** A command that is still running. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Its output to stdout and stderr so far. */
  output(): string;
  /** Sends a signal to its process group, as Ctrl-C does. */
  interrupt(signal?: NodeJS.Signals): void;
}

/**
 * A shell that runs the README's commands unchanged. Its curl connects to other ports of 127.0.0.1 than the README's, so
 * those need not be free, and fails if the response is an error.
 */
export class Shell {
  readonly #folder = mkdtempSync(join(tmpdir(), 'plusone-readme-'));
  readonly #env: NodeJS.ProcessEnv;

  /** `ports` maps the README's ports to those in use here. `env` adds variables; undefined ones are removed. */
  constructor(ports: Readonly<Record<number, number>>, env: NodeJS.ProcessEnv = {}) {
    const redirected = Object.entries(ports).map(
      ([port, here]) => `connect-to = "localhost:${port}:127.0.0.1:${here}"`,
    );
    writeFileSync(
      join(this.#folder, '.curlrc'),
      ['fail', 'silent', 'show-error', 'max-time = 20', 'noproxy = "localhost"', ...redirected].join('\n'),
    );
    // If this runs under make, its variables would change the behaviour of every make below it.
    const make = { MAKEFLAGS: undefined, MFLAGS: undefined, MAKELEVEL: undefined };
    this.#env = { ...process.env, ...make, CURL_HOME: this.#folder, ...env };
  }

  /** Starts a command, with `input` on its stdin. */
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

  /** Runs a command and waits for its end. */
  async type(command: string, input = ''): Promise<Ended> {
    return await this.start(command, input).ended;
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
