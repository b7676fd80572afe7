import { setTimeout as sleep } from 'node:timers/promises';
import { AxeBuilder } from '@axe-core/playwright';
import { expect } from 'chai';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { skipWithout } from '../skip.ts';
import { launch, TIMEOUT_MILLISECONDS, type Visit, visit } from './browser.ts';
import { ask } from './contract.ts';
import { newName, START_MILLISECONDS, serviceUnderTest, utcDate } from './service.ts';

const SCREENSHOT = process.env.SCREENSHOT;
const WEIGHT = 30 * 1024;
const NARROW = { width: 320, height: 640 };

const nameField = (page: Page) => page.getByLabel('Name');
const dateField = (page: Page) => page.getByLabel('Date of birth');
const answer = (page: Page) => page.getByRole('status');
const press = (page: Page, name: string) => page.getByRole('button', { name }).click();

/** Waits until the text of the element matches; throws an AssertionError with the last text. */
async function expectText(read: () => Promise<string | null>, pattern: RegExp): Promise<void> {
  let text: string | null = null;
  const deadline = Date.now() + TIMEOUT_MILLISECONDS;
  while (Date.now() < deadline) {
    text = await read();
    if (text !== null && pattern.test(text)) return;
    await sleep(20);
  }
  expect(text).to.match(pattern);
}

const answers = (page: Page, pattern: RegExp) => expectText(() => answer(page).textContent(), pattern);

/** The accessible description of the focused field, if it is marked as invalid. */
const saidOfWrongField = (page: Page) =>
  page.evaluate<string | null>(`
    document.activeElement.getAttribute('aria-invalid') === 'true'
      ? document.getElementById(document.activeElement.getAttribute('aria-describedby')).textContent
      : null`);

const isWiderThanTheScreen = (page: Page) =>
  page.evaluate<boolean>('document.documentElement.scrollWidth > document.documentElement.clientWidth');

async function accessibilityProblems(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
}

let browser: Browser;
const open: Visit[] = [];

async function opened(path: string, options?: BrowserContextOptions): Promise<Visit> {
  const made = await visit(browser, path, options);
  open.push(made);
  return made;
}

/** Saves a birthday for a new name on the page, waits for the result and returns the name. */
async function saveBirthday(page: Page): Promise<string> {
  const name = newName();
  await nameField(page).fill(name);
  await dateField(page).fill('1990-06-15');
  await press(page, 'Save');
  await answers(page, /^Hello/);
  return name;
}

describe('in a browser', function () {
  this.timeout(3 * TIMEOUT_MILLISECONDS);

  before(async function () {
    this.timeout(START_MILLISECONDS);
    const launched = await launch();
    if (launched === undefined) {
      return skipWithout(
        this,
        'chromium',
        'there is no Chromium on this machine; install it, or say where it is with CHROMIUM',
      );
    }
    browser = launched;
    await serviceUnderTest();
  });
  after(() => browser?.close());
  afterEach(async () => {
    for (const { page, complaints } of open.splice(0)) {
      await page.context().close();
      expect(complaints).to.deep.equal([]);
    }
  });

  describe('the page', () => {
    it('saves a birthday, shows the days left and deletes it', async () => {
      const { page } = await opened('/');
      const name = newName();
      await nameField(page).fill(name);
      await press(page, 'Days left');
      await answers(page, /No birthday is saved for/);
      await dateField(page).fill('1990-06-15');
      await press(page, 'Save');
      await answers(page, new RegExp(`^Hello, ${name}! (Your birthday is in \\d+ day\\(s\\)|Happy birthday!)$`));
      page.once('dialog', (dialog) => dialog.accept());
      await press(page, 'Delete');
      await answers(page, /is deleted/);
      expect((await ask('GET', `/hello/${name}`)).status).to.equal(404);
    });

    it('keeps the birthday if the deletion is not confirmed', async () => {
      const { page } = await opened('/');
      const name = newName();
      await ask('PUT', `/hello/${name}`, { json: { dateOfBirth: '1990-06-15' } });
      await nameField(page).fill(name);
      await press(page, 'Days left');
      await answers(page, /^Hello/);
      page.once('dialog', (dialog) => dialog.dismiss());
      await press(page, 'Delete');
      expect((await ask('GET', `/hello/${name}`)).status).to.equal(200);
    });

    it('deletes the user that it shows, even if another name was typed since', async () => {
      const { page } = await opened('/');
      const [shown, typed] = [newName(), newName()];
      for (const name of [shown, typed]) await ask('PUT', `/hello/${name}`, { json: { dateOfBirth: '1990-06-15' } });
      await nameField(page).fill(shown);
      await press(page, 'Days left');
      await answers(page, /^Hello/);
      await nameField(page).fill(typed);
      page.once('dialog', (dialog) => dialog.accept());
      await press(page, 'Delete');
      await answers(page, /is deleted/);
      expect((await ask('GET', `/hello/${typed}`)).status).to.equal(200);
      expect((await ask('GET', `/hello/${shown}`)).status).to.equal(404);
    });

    it('congratulates on the day', async () => {
      const { page } = await opened('/');
      await nameField(page).fill(newName());
      await dateField(page).fill(`1980${(await utcDate()).slice(4)}`);
      await press(page, 'Save');
      await answers(page, /Happy birthday!$/);
    });

    it('shows the same result after a reload', async () => {
      const { page } = await opened('/');
      const name = await saveBirthday(page);
      const shown = await answer(page).textContent();
      await page.reload();
      expect(await answer(page).textContent()).to.equal(shown);
      expect(await nameField(page).inputValue()).to.equal(name);
      expect(await page.getByRole('button', { name: 'Delete' }).isVisible()).to.equal(true);
    });

    it('shows the error of a date next to it, and accepts a valid one', async () => {
      const { page } = await opened('/');
      await nameField(page).fill(newName());
      await dateField(page).fill(await utcDate(1));
      await press(page, 'Save');
      await expectText(() => saidOfWrongField(page), /^Date of birth must be before today/);
      await dateField(page).fill('1990-06-15');
      await press(page, 'Save');
      await answers(page, /^Hello/);
      expect(await page.locator('[aria-invalid="true"]').count()).to.equal(0);
    });

    it('shows the error of a name next to it', async () => {
      const { page } = await opened('/');
      await nameField(page).fill('ann lee');
      await press(page, 'Days left');
      await expectText(() => saidOfWrongField(page), /1 to 64 letters/);
    });

    it('reports an empty field without a request', async () => {
      const { page, loads } = await opened('/');
      await press(page, 'Days left');
      await expectText(() => saidOfWrongField(page), /Type a name/);
      await nameField(page).fill('ann');
      await press(page, 'Save');
      await expectText(() => saidOfWrongField(page), /Choose a whole date/);
      expect((await loads()).filter(({ url }) => url.includes('/hello'))).to.deep.equal([]);
    });

    it('reports that the service is unreachable, and works afterwards', async () => {
      const { page, complaints } = await opened('/');
      await page.context().setOffline(true);
      await nameField(page).fill(newName());
      await press(page, 'Days left');
      await answers(page, /cannot be reached/);
      await page.context().setOffline(false);
      await press(page, 'Days left');
      await answers(page, /No birthday is saved/);
      complaints.length = 0;
    });

    it('shows the error of the service without a database', async () => {
      const { page } = await opened('/');
      await page.route('**/hello/*', (route) =>
        route.fulfill({
          status: 503,
          contentType: 'application/problem+json',
          body: '{"status":503,"detail":"Please try again."}',
        }),
      );
      await nameField(page).fill('ann');
      await press(page, 'Days left');
      await answers(page, /^Please try again\.$/);
    });

    it('can be used with the keyboard only, and shows the focus', async () => {
      const { page } = await opened('/');
      const name = newName();
      const focused = () =>
        page.evaluate<string>('document.activeElement.id || document.activeElement.textContent.trim()');
      const tab = async () => {
        await page.keyboard.press('Tab');
        expect(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')).not.to.equal('none');
        return await focused();
      };
      expect(await tab()).to.equal('username');
      await page.keyboard.type(name);
      await page.keyboard.press('Enter');
      await answers(page, /No birthday/);
      expect(await tab()).to.equal('Days left');
      expect(await tab()).to.equal('date-of-birth');
      await page.keyboard.type('06151990');
      await page.keyboard.press('Enter');
      await answers(page, new RegExp(`^Hello, ${name}!`));
      for (let step = 0; (await focused()) !== 'delete' && step < 10; step++) await page.keyboard.press('Shift+Tab');
      page.once('dialog', (dialog) => dialog.accept());
      await page.keyboard.press('Enter');
      await answers(page, /is deleted/);
      expect(await focused()).to.equal('username');
    });

    for (const colorScheme of ['light', 'dark'] as const) {
      it(`has no violations in axe, in ${colorScheme}: empty, with a result, with an error`, async () => {
        const { page } = await opened('/', { colorScheme });
        expect(await accessibilityProblems(page)).to.deep.equal([]);
        await saveBirthday(page);
        expect(await accessibilityProblems(page)).to.deep.equal([]);
        await dateField(page).fill(await utcDate(1));
        await press(page, 'Save');
        await expectText(() => saidOfWrongField(page), /must be before/);
        expect(await accessibilityProblems(page)).to.deep.equal([]);
      });
    }

    it('follows the color scheme of the system', async () => {
      const ground = async (colorScheme: 'light' | 'dark') => {
        const { page } = await opened('/', { colorScheme });
        const [red = 0] =
          (await page.evaluate<string>('getComputedStyle(document.body).backgroundColor')).match(/\d+/g) ?? [];
        return Number(red);
      };
      expect(await ground('dark')).to.be.below(64);
      expect(await ground('light')).to.be.above(192);
    });

    it('fits a screen of 320 pixels with the longest name', async () => {
      const { page } = await opened('/', { viewport: NARROW });
      await saveBirthday(page);
      expect(await isWiderThanTheScreen(page)).to.equal(false);
    });

    it('does not move while it loads', async () => {
      const { page } = await opened('/');
      const shift = await page.evaluate<number>(`new Promise((resolve) => {
        let sum = 0;
        new PerformanceObserver((list) => { for (const { value } of list.getEntries()) sum += value; })
          .observe({ type: 'layout-shift', buffered: true });
        setTimeout(() => resolve(sum), 300);
      })`);
      expect(shift).to.equal(0);
    });

    it('weighs at most 30 KiB and loads nothing from other hosts', async () => {
      const loads = await (await opened('/')).loads();
      const { url } = await serviceUnderTest();
      expect(loads.filter((load) => !load.url.startsWith(`${url}/`))).to.deep.equal([]);
      const weight = loads.reduce((sum, { bytes }) => sum + bytes, 0);
      expect(weight).to.be.above(5_000).and.below(WEIGHT);
    });

    it('looks up a name without JavaScript, and states what needs it', async () => {
      const { page } = await opened('/', { javaScriptEnabled: false });
      const name = newName();
      await ask('PUT', `/hello/${name}`, { json: { dateOfBirth: '1990-06-15' } });
      expect(await page.locator('noscript p').isVisible()).to.equal(true);
      expect(await dateField(page).isVisible()).to.equal(false);
      await nameField(page).fill(name);
      await press(page, 'Days left');
      await answers(page, new RegExp(`^Hello, ${name}!`));
      await nameField(page).fill('unknownname');
      await press(page, 'Days left');
      await answers(page, /^No birthday is known for unknownname/);
    });

    it('prints the result without buttons', async () => {
      const { page } = await opened('/');
      await saveBirthday(page);
      await page.emulateMedia({ media: 'print' });
      expect(await answer(page).isVisible()).to.equal(true);
      for (const button of await page.locator('button, input').all()) expect(await button.isVisible()).to.equal(false);
    });

    it('escapes the text that it shows', async () => {
      const { page } = await opened('/');
      await page.route('**/hello/*', (route) =>
        route.fulfill({ contentType: 'application/json', body: '{"message":"<img src=x onerror=alert(1)>"}' }),
      );
      await nameField(page).fill('ann');
      await press(page, 'Days left');
      await answers(page, /^<img/);
      expect(await page.locator('main img').count()).to.equal(0);
    });

    // SCREENSHOT=docs/images/page.png npm run test:integration updates the README's picture.
    if (SCREENSHOT !== undefined && process.env.BASE_URL === undefined) {
      it('is shown in a screenshot', async () => {
        const { page } = await opened('/', { viewport: { width: 720, height: 760 } });
        await nameField(page).fill('Ada');
        await dateField(page).fill('1815-12-10');
        await press(page, 'Save');
        await answers(page, /^Hello, Ada!/);
        await nameField(page).focus();
        await page.screenshot({ path: SCREENSHOT, fullPage: true });
      });
    }
  });

  describe('the documentation', () => {
    it('sends a request and shows the response', async () => {
      const { page } = await opened('/docs');
      const name = newName();
      const put = page.locator('#putBirthday');
      await put.getByText('Try it').click();
      await put.getByLabel('username').fill(name);
      await put.getByLabel('Body', { exact: true }).fill('{"dateOfBirth":"1990-06-15"}');
      await put.getByRole('button', { name: 'Send' }).click();
      await expectText(() => put.getByRole('status').textContent(), new RegExp(`PUT /hello/${name}: 204`));
      const get = page.locator('#getBirthday');
      await get.getByText('Try it').click();
      await get.getByLabel('username').fill(name);
      await get.getByRole('button', { name: 'Send' }).click();
      await expectText(() => get.getByRole('status').textContent(), new RegExp(`200.*Hello, ${name}!`, 's'));
    });

    it('shows an error response', async () => {
      const { page } = await opened('/docs');
      const put = page.locator('#putBirthday');
      await put.getByText('Try it').click();
      await put.getByLabel('Body', { exact: true }).fill('{');
      await put.getByRole('button', { name: 'Send' }).click();
      await expectText(() => put.getByRole('status').textContent(), /400.*not valid JSON/s);
    });

    for (const colorScheme of ['light', 'dark'] as const) {
      it(`has no violations in axe, in ${colorScheme}, with every form open`, async () => {
        const { page } = await opened('/docs', { colorScheme });
        for (const summary of await page.getByText('Try it').all()) await summary.click();
        expect(await accessibilityProblems(page)).to.deep.equal([]);
      });
    }

    it('fits a screen of 320 pixels', async () => {
      const { page } = await opened('/docs', { viewport: NARROW });
      for (const summary of await page.getByText('Try it').all()) await summary.click();
      const get = page.locator('#getBirthday');
      await get.getByRole('button', { name: 'Send' }).click();
      await expectText(() => get.getByRole('status').textContent(), /GET/);
      expect(await isWiderThanTheScreen(page)).to.equal(false);
    });

    it('is readable without JavaScript, and then offers no forms', async () => {
      const { page } = await opened('/docs', { javaScriptEnabled: false });
      expect(await page.getByText('Save or replace a birthday').first().isVisible()).to.equal(true);
      expect(await page.getByText('Try it').first().isVisible()).to.equal(false);
    });

    it('weighs at most 30 KiB and loads nothing from other hosts', async () => {
      const loads = await (await opened('/docs')).loads();
      const { url } = await serviceUnderTest();
      expect(loads.filter((load) => !load.url.startsWith(`${url}/`))).to.deep.equal([]);
      expect(loads.reduce((sum, { bytes }) => sum + bytes, 0))
        .to.be.above(5_000)
        .and.below(WEIGHT);
    });
  });
});
