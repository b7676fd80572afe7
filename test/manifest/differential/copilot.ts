import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The real Copilot CLI in workspaces of its own, beside each other, in one application with the environment `test`. */
export class Copilot {
  readonly #root = mkdtempSync(join(tmpdir(), 'copilot-'));
  readonly #application = `difference-${process.pid}`;
  readonly #idle: string[] = [];

  /** Makes the application and deploys its environment: some 5 s. Throws when Copilot fails. */
  start(workspaces: number): void {
    const first = join(this.#root, '0');
    mkdirSync(first);
    run('git', ['init', '--quiet'], first);
    run('copilot', ['app', 'init', this.#application], first);
    run('copilot', ['env', 'init', '--name', 'test', '--profile', 'default', '--default-config'], first);
    run('copilot', ['env', 'deploy', '--name', 'test'], first);
    mkdirSync(join(first, 'copilot', 'api'));
    for (let i = 1; i < workspaces; i += 1) cpSync(first, join(this.#root, String(i)), { recursive: true });
    this.#idle.push(...Array.from({ length: workspaces }, (_, i) => join(this.#root, String(i))));
  }

  /** What `copilot svc package` refuses the manifest with, or undefined. At most one call a workspace at once. */
  async refusal(manifest: string, type: string): Promise<string | undefined> {
    const folder = this.#idle.pop();
    if (!folder) throw new Error('more calls than workspaces');
    try {
      writeFileSync(join(folder, 'copilot', 'api', 'manifest.yml'), manifest);
      const kind = type === 'Scheduled Job' ? 'job' : 'svc';
      return await refusalOf(['copilot', kind, 'package', '--name', 'api', '--env', 'test'], folder);
    } finally {
      this.#idle.push(folder);
    }
  }

  stop(): void {
    const [folder] = this.#idle;
    if (folder) {
      rmSync(join(folder, 'copilot', 'api'), { recursive: true, force: true });
      spawnSync('copilot', ['app', 'delete', '--yes'], { cwd: folder });
    }
    rmSync(this.#root, { recursive: true, force: true });
  }
}

function run(program: string, args: readonly string[], cwd: string): void {
  const { status, stderr } = spawnSync(program, args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} failed: ${stderr}`);
}

function refusalOf([program = '', ...args]: readonly string[], cwd: string): Promise<string | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  const child = spawn(program, args, { cwd, stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  child.on('error', reject);
  child.on('close', (code) => resolve(code === 0 ? undefined : stderr.trim() || `exit status ${code}`));
  return promise;
}
