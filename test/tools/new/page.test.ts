import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { text as textOf } from 'node:stream/consumers';
import { AxeBuilder } from '@axe-core/playwright';
import { expect } from 'chai';
import type { Browser, Page } from 'playwright-core';
import { describeService } from '../../../tools/package/service/api.ts';
import { decimal, email, fields } from '../../../tools/package/service/fields.ts';
import { launch } from '../../integration/browser.ts';
import { skipWithout } from '../../skip.ts';

const template = (path: string) => readFileSync(new URL(`../../../tools/new/template/${path}`, import.meta.url));
const orders = { path: '/orders', name: 'Order', plural: 'Orders', schema: fields({ total: decimal() }) };
const customers = { path: '/customers', name: 'Customer', plural: 'Customers', schema: fields({ contact: email() }) };

describe('the page of a generated service', function () {
  this.timeout(30_000);
  let browser: Browser;
  const servers: Server[] = [];
  before(async function () {
    const found = await launch();
    if (found === undefined) skipWithout(this, 'chromium', 'this machine has no Chromium');
    browser = found;
  });
  after(async () => {
    await browser?.close();
    for (const server of servers) server.close();
  });

  /** Opens a path of a service with these resources, which has one of each; `saved` are the requests that change one. */
  async function open(path: string, resources: readonly (typeof orders | typeof customers)[]) {
    const saved: { url: string; body: unknown }[] = [];
    const { contract } = describeService({ name: 'shop', version: '1', summary: 'A shop.', closed: false, resources });
    const files: Readonly<Record<string, readonly [type: string, body: string | Buffer]>> = {
      '/': ['text/html', template('src/page/page.html')],
      '/assets/page.js': ['text/javascript', template('src/page/page.js')],
      '/openapi.json': ['application/json', JSON.stringify(contract)],
      '/orders': ['application/json', '{"items":[{"id":"o-1","total":"12.50"}]}'],
      '/customers': ['application/json', '{"items":[{"id":"c-1","contact":"ann@example.com"}]}'],
    };
    const server = createServer(async (request: IncomingMessage, response) => {
      const [type, body] = files[request.url ?? ''] ?? [];
      if (request.method === 'PUT') saved.push({ url: String(request.url), body: JSON.parse(await textOf(request)) });
      // Restify, where it is loaded, has writeHead return nothing.
      response.writeHead(type ? 200 : 204, type ? { 'content-type': type } : {});
      response.end(body);
    });
    servers.push(server);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the service has no port');
    const page = await (await browser.newContext()).newPage();
    page.setDefaultTimeout(10_000);
    await page.goto(`http://127.0.0.1:${address.port}${path}`);
    return { page, saved };
  }

  const heading = (page: Page) => page.getByRole('heading', { level: 1 });
  const links = (page: Page) => page.getByRole('navigation', { name: 'Resources' }).getByRole('link');

  it('shows and saves the only resource, without links to others', async () => {
    const { page, saved } = await open('/', [orders]);
    await page.getByRole('heading', { name: 'o-1' }).waitFor();
    expect([await heading(page).textContent(), await links(page).count()]).to.deep.equal(['Orders', 0]);
    await page.getByLabel('id').fill('o-2');
    await page.getByLabel('total').fill('3.00');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('o-2 is saved.').waitFor();
    expect(saved).to.deep.equal([{ url: '/orders/o-2', body: { total: '3.00' } }]);
  });

  it('has a page for each resource, which links to the others', async () => {
    const { page, saved } = await open('/', [orders, customers]);
    await page.getByRole('heading', { name: 'o-1' }).waitFor();
    expect(await links(page).allTextContents()).to.deep.equal(['Orders', 'Customers']);
    await links(page).getByText('Customers').click();
    await page.getByRole('heading', { name: 'c-1' }).waitFor();
    expect([await heading(page).textContent(), await page.title()]).to.deep.equal(['Customers', 'Customers · shop']);
    await page.getByLabel('id').fill('c-2');
    await page.getByLabel('contact').fill('bob@example.com');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('c-2 is saved.').waitFor();
    expect(saved).to.deep.equal([{ url: '/customers/c-2', body: { contact: 'bob@example.com' } }]);
  });

  it('opens the page of a resource by its address', async () => {
    const { page } = await open('/#customers', [orders, customers]);
    await page.getByRole('heading', { name: 'c-1' }).waitFor();
    expect(await page.locator('[aria-current]').textContent()).to.equal('Customers');
  });

  it('shows the first resource for an address that no resource has', async () => {
    const { page } = await open('/#nothing', [orders, customers]);
    await page.getByRole('heading', { name: 'o-1' }).waitFor();
    expect(await heading(page).textContent()).to.equal('Orders');
  });

  it('is accessible', async () => {
    const { page } = await open('/', [orders, customers]);
    await page.getByRole('heading', { name: 'o-1' }).waitFor();
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map(({ id }) => id)).to.deep.equal([]);
  });
});
