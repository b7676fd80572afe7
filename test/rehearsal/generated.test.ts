import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { setGlobalProxyFromEnv } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { parseMarkdown } from '../readme/markdown.ts';
import { skipWithout } from '../skip.ts';
import { Ejection, missing } from './ejection.ts';
import { stepByStep } from './step-by-step.ts';

// What plusone new writes goes to AWS and back by the commands of its own README, with the real copilot and the packages
// as npm would have them.

// The emulator keeps the log groups of a deleted application: another run needs another name.
const name = `orders-${randomBytes(2).toString('hex')}`;

describe('a service of plusone new on AWS', function () {
  this.timeout('10m');
  let deployed: Ejection;

  before(async function () {
    const reason = await missing();
    if (reason) return skipWithout(this, 'aws', reason);
    setGlobalProxyFromEnv();
    const folder = join(mkdtempSync(join(tmpdir(), 'plusone-generated-')), name);
    const words = ['new', name, '--resource', 'order', '--field', 'total:decimal', '--directory', folder];
    execFileSync(process.execPath, ['tools/cli.ts', ...words], { stdio: 'ignore' });
    deployed = new Ejection(folder, name, { services: [name] });
    shell('npm install --package-lock-only --no-audit --no-fund');
  });

  stepByStep();

  after(() => deployed?.remove());

  it('is there after the commands of its README, and keeps what it is given', async () => {
    const { RDS_CA } = process.env;
    if (!RDS_CA) throw new Error('RDS_CA is missing: name the file (PEM) of the CA of the databases of the emulator');
    copyFileSync(RDS_CA, join(deployed.folder, 'src/rds-ca.pem'));
    // An emulator has no certificates of Amazon, and gives a task no credentials of its role.
    declare(
      'DATABASE_TLS: rds',
      'DATABASE_TLS: src/rds-ca.pem\n  AWS_ACCESS_KEY_ID: nobody\n  AWS_SECRET_ACCESS_KEY: nobody',
    );
    shell('git add --all && git -c user.name=a -c user.email=a@localhost commit --quiet --message first');
    const { blocks } = parseMarkdown(readFileSync(join(deployed.folder, 'README.md'), 'utf8'));
    const typed = blocks.filter(({ heading, language }) => heading === 'On AWS' && language === 'sh');
    expect(typed).to.have.length(1);
    shell(typed.map(({ text }) => text).join('\n'));
    const saved = await fetch(await order(), {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: '{"total":"12.50"}',
    });
    expect(saved.status, await saved.text()).to.equal(204);
    expect(await (await fetch(await order())).json()).to.deep.equal({ id: 'o-1', total: '12.50' });
  });

  it('passes its own tests over HTTP there', async () => {
    const base = `BASE_URL=${await deployed.address()} NODE_USE_ENV_PROXY=1`;
    expect(shell(`npm ci --no-audit --no-fund --loglevel=error && ${base} make test-integration`)).to.match(
      /\d+ passing/,
    );
  });

  it('is released while it is under load, and no request fails', async () => {
    declare('LOG_LEVEL: info', 'LOG_LEVEL: warn');
    const stop = await deployed.load('/orders/o-1');
    shell('copilot deploy --env test --tag second');
    expect(await stop()).to.be.greaterThan(50);
  });

  it('goes back to the release before when one cannot start, and no request fails', async () => {
    declare('LOG_LEVEL: warn', 'LOG_LEVEL: loud');
    const stop = await deployed.load('/orders/o-1');
    expect(run('copilot deploy --env test --tag third').status).not.to.equal(0);
    expect(await stop()).to.be.greaterThan(50);
  });

  it('is deleted as its README says, and leaves a snapshot of the database', () => {
    shell(`copilot svc delete --name ${name} --env test --yes && copilot env delete --name test --yes`);
    const query = `DBSnapshots[?starts_with(DBSnapshotIdentifier, '${name}')].DBSnapshotIdentifier`;
    expect(shell(`aws rds describe-db-snapshots --output text --query "${query}"`)).to.contain(name);
  });

  function declare(text: string, instead: string) {
    const file = join(deployed.folder, `copilot/${name}/manifest.yml`);
    const manifest = readFileSync(file, 'utf8');
    expect(manifest).to.contain(text);
    writeFileSync(file, manifest.replace(text, instead));
  }

  async function order(): Promise<string> {
    return `${await deployed.address()}/orders/o-1`;
  }

  function run(script: string) {
    return spawnSync('bash', ['-e', '-c', script], { cwd: deployed.folder, encoding: 'utf8' });
  }

  /** Runs a script, which must succeed; gives back what it prints. */
  function shell(script: string): string {
    const { status, stdout, stderr } = run(script);
    expect(status, `${script}\n${stdout}\n${stderr}`).to.equal(0);
    return stdout;
  }
});
