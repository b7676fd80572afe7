import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { Application, needsCluster } from './application.ts';

describe('plusone up of the packed package, with a monorepo on PostgreSQL, DynamoDB and S3', function () {
  this.timeout(900_000);
  let application: Application;
  let installed = '';
  let first = { code: 0, stdout: '', stderr: '' };

  before(async function () {
    await needsCluster(this);
    installed = mkdtempSync(join(tmpdir(), 'plusone-'));
    const source = fileURLToPath(new URL('../../tools/package', import.meta.url));
    execFileSync('npm', ['pack', '--pack-destination', installed], { cwd: source, stdio: 'ignore' });
    writeFileSync(join(installed, 'package.json'), '{ "private": true }');
    execFileSync('sh', ['-c', 'npm install --no-audit --no-fund ./plusone-*.tgz'], { cwd: installed, stdio: 'ignore' });
    application = new Application('shop', join(installed, 'node_modules/plusone/dist/tools/cli.js'));
    first = await application.up();
  });
  after(async () => {
    await application?.end();
    rmSync(installed, { recursive: true, force: true });
  });

  it('fails for a secret that has no value yet, names it and where AWS keeps it, and starts the others', async () => {
    expect(first.code).to.equal(1);
    expect(first.stdout).to.contain('GREETING has no value in plusone.env');
    application.edit('plusone.env', (text) => {
      expect(text).to.contain('# web: SSM /copilot/shop/local/secrets/GREETING\nGREETING=\n');
      return text.replace('GREETING=', 'GREETING=good morning');
    });
    expect(await application.ask('/orders', 'POST')).to.equal('{"orders":1}');
  });

  it('names what does not run locally, and the likely cause of a crash', () => {
    expect(first.stderr).to.contain('Thumbnails (AWS::Lambda::Function): functions do not run locally');
    expect(first.stdout).to.contain('✗ broken').and.contain('likely cause: the image has no /app/serve');
  });

  it('keeps what is in PostgreSQL over the next up, and takes the secret', async () => {
    await application.up();
    expect(await application.ask('/')).to.equal('{"greeting":"good morning"}');
    expect(await application.ask('/orders')).to.equal('{"orders":1}');
  });

  it('has the table and the bucket that the environment exports', async () => {
    expect(await application.ask('/stock/apple', 'POST')).to.equal('{"stock":1,"picture":"picture of apple"}');
  });
});
