import { expect } from 'chai';
import type { Browser } from 'playwright-core';
import { killAll, type Service, startServing } from '../../tools/process/service.ts';
import { launch, PATIENCE_MILLISECONDS } from '../integration/browser.ts';
import { skipWithout } from '../skip.ts';
import { find } from './requests.ts';
import { sharedDatabase } from './shared-database.ts';

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
    page.setDefaultTimeout(PATIENCE_MILLISECONDS);
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

  it('the documentation tries a change out with it', async () => {
    const page = await opened('/docs');
    const section = page.locator('#putBirthday');
    await section.getByText('Try it').click();
    await section.getByLabel('Token').fill(TOKEN);
    await section.getByRole('button', { name: 'Send' }).click();
    await section.getByText(': 204 No Content').waitFor();
  });
});
