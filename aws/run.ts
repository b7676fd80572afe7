import { spawn } from 'node:child_process';

export class CommandFailed extends Error {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;

  constructor(command: string, code: number, stdout = '', stderr = '') {
    super(`\`${command}\` ended with ${code}${stderr && `: ${stderr.trim()}`}`);
    this.code = code;
    this.stdout = stdout;
    this.stderr = stderr;
  }
}

/** Runs a program on this terminal. Throws CommandFailed when it doesn't end with 0. */
export async function run(
  program: string,
  words: string[],
  environment: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  const code = await started(program, words, environment, 'inherit').ended;
  if (code !== 0) throw new CommandFailed([program, ...words].join(' '), code);
}

/** Runs a program and gives back what it wrote to stdout. Throws CommandFailed, with its stderr, when it doesn't end with 0. */
export async function output(program: string, words: string[], environment = process.env): Promise<string> {
  const { child, ended } = started(program, words, environment, 'pipe');
  const [stdout, stderr] = [text(child.stdout), text(child.stderr)];
  const code = await ended;
  if (code !== 0) throw new CommandFailed([program, ...words].join(' '), code, await stdout, await stderr);
  return stdout;
}

function started(program: string, words: string[], environment: NodeJS.ProcessEnv, out: 'inherit' | 'pipe') {
  const stdin = out === 'inherit' ? 'inherit' : 'ignore';
  const child = spawn(program, words, { env: environment, stdio: [stdin, out, out] });
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
  return { child, ended };
}

async function text(stream: AsyncIterable<Buffer> | null): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of stream ?? []) parts.push(part);
  return Buffer.concat(parts).toString();
}
