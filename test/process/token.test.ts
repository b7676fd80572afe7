import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import type { Browser } from 'playwright-core';
import { killAll, migrate, type Service, startServing } from '../../tools/process/service.ts';
import { launch, TIMEOUT_MILLISECONDS } from '../integration/browser.ts';
import { skipWithout } from '../skip.ts';
import { find } from './requests.ts';
import { emptySchema, sharedDatabase } from './shared-database.ts';

const TOKEN = 'a-token-of-twenty-characters';

describe('with WRITE_TOKEN, in a browser', function () {
  this.timeout(60_000);
  let browser: Browser;
  const started: Service[] = [];

  before(async function () {
    const launched = await launch();
    if (launched === undefined) return skipWithout(this, 'chromium', 'there is no Chromium on this machine');
    browser = launched;
    const database = await sharedDatabase();
    started.push(await startServing({ ...database.env, WRITE_TOKEN: TOKEN }));
  });
  after(async () => {
    await browser?.close();
    await killAll(started);
  });

  async function opened(path: string) {
    const context = await browser.newContext({ baseURL: started[0]?.url ?? '' });
    const page = await context.newPage();
    page.setDefaultTimeout(TIMEOUT_MILLISECONDS);
    await page.goto(path);
    return page;
  }

  it('the page asks for the token, and saves with it', async () => {
    const page = await opened('/');
    await page.getByLabel('Name').fill('bytoken');
    await page.getByLabel('Date of birth').fill('1990-06-15');
    const save = page.getByRole('button', { name: 'Save' });
    await save.click();
    await page.getByText('The token is missing, or it is another one.').waitFor();
    expect((await find(started[0]?.url ?? '', 'bytoken')).status).to.equal(404);

    await page.getByLabel('Token').fill(TOKEN);
    await save.click();
    await page.getByText('Hello, bytoken!').waitFor();
    expect((await find(started[0]?.url ?? '', 'bytoken')).status).to.equal(200);
  });

  it('the documentation sends a change with it', async () => {
    const page = await opened('/docs');
    const section = page.locator('#putBirthday');
    await section.getByText('Try it').click();
    await section.getByLabel('Token').fill(TOKEN);
    await section.getByRole('button', { name: 'Send' }).click();
    await section.getByText(': 204 No Content').waitFor();
  });
});

describe('with WRITE_TOKEN, the integration tests', function () {
  this.timeout(240_000);

  it('pass against a service in use if the environment has the token', async () => {
    const database = await sharedDatabase();
    const env = await emptySchema(database);
    await migrate(env);
    const service = await startServing({ ...env, WRITE_TOKEN: TOKEN });
    try {
      // Whether the page is accessible does not depend on the token.
      const words = ['test/integration/*.test.ts', '--grep', 'axe', '--invert'];
      const child = spawn(process.execPath, ['node_modules/mocha/bin/mocha.js', ...words], {
        env: { ...process.env, BASE_URL: service.url, METRICS_URL: service.metricsUrl, WRITE_TOKEN: TOKEN },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'close')]);
      expect(code, output).to.equal(0);
      expect(output).to.match(/\d+ passing/);
      // They delete what they have saved.
      const [left] = await database.query(`SELECT COUNT(*) AS users FROM ${env.DATABASE_NAME}.users`);
      expect(left).to.deep.include({ users: 0 });
    } finally {
      await killAll([service]);
    }
  });
});
