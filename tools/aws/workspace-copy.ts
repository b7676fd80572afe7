import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { cleanEnvironment } from '../process/clean-environment.ts';

/** A copy of this working tree, as a separate Git repository, in which commands run and files are changed. */
export class Workspace {
  readonly folder = mkdtempSync(join(tmpdir(), 'plusone-rehearsal-'));
  /** The programs that were started here, with their arguments. */
  readonly started: string[] = [];

  constructor() {
    const files = execFileSync('git', ['ls-files', '-zco', '--exclude-standard'], { encoding: 'utf8' }).split('\0');
    // In a copy it is a symbolic link, which .gitignore does not match.
    const ours = files.filter((file) => file !== '' && file !== 'node_modules');
    for (const file of ours) cpSync(file, join(this.folder, file));
    symlinkSync(join(process.cwd(), 'node_modules'), join(this.folder, 'node_modules'));
    this.git('init', '--quiet');
    this.commit();
  }

  /** Commits everything and returns the commit in the form of an image tag. */
  commit(): string {
    this.git('add', '--all');
    this.git(
      '-c',
      'user.name=rehearsal',
      '-c',
      'user.email=rehearsal@localhost',
      'commit',
      '--allow-empty',
      '--quiet',
      '--message',
      'rehearsal',
    );
    return this.git('rev-parse', '--short=12', 'HEAD').trim();
  }

  edit(file: string, change: (text: string) => string): void {
    const path = join(this.folder, file);
    const before = readFileSync(path, 'utf8');
    const after = change(before);
    if (after === before) throw new Error(`${file} is unchanged`);
    writeFileSync(path, after);
  }

  /** Sets values at these paths in the manifest. */
  declare(values: Readonly<Record<string, unknown>>): void {
    this.edit('copilot/plusone/manifest.yml', (text) => {
      const manifest = parseDocument(text);
      for (const [path, value] of Object.entries(values)) manifest.setIn(path.split('.'), value);
      return manifest.toString();
    });
  }

  /**
   * Runs a program of this working tree, or another one, to its end: with these variables, without those of the shell that
   * this project's programs read, and without a terminal, so that a question fails.
   */
  async run(program: string, words: string[] = [], variables: NodeJS.ProcessEnv = {}) {
    const { ended, output } = this.start(program, words, variables);
    return { code: await ended, output: output() };
  }

  /** Starts a program in the same way without waiting for its end. */
  start(program: string, words: string[] = [], variables: NodeJS.ProcessEnv = {}) {
    this.started.push([program, ...words].join(' '));
    const line = program.endsWith('.ts') ? [process.execPath, program, ...words] : [program, ...words];
    const [file = '', ...rest] = line;
    const env = { ...cleanEnvironment(), ...variables };
    // A separate process group, because the commands start child processes that `stop` must end too.
    const child = spawn(file, rest, { cwd: this.folder, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    const ended = new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve(code ?? 1));
    });
    return { ended, output: () => output, stop: () => void (child.pid && process.kill(-child.pid, 'SIGTERM')) };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  private git(...words: string[]): string {
    return execFileSync('git', words, { cwd: this.folder, encoding: 'utf8' });
  }
}
