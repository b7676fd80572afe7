/** Uses the page of a generated service at BASE_URL in a browser; fails if it does not do what it should. */
import { AxeBuilder } from '@axe-core/playwright';
import { expect } from 'chai';
import { chromium } from 'playwright-core';
import { findChromium } from '../../../tools/doctor/machine.ts';

const MORE_THAN_A_PAGE = 25;

const browser = await chromium.launch({
  executablePath: findChromium() ?? '',
  args: ['--no-sandbox', '--disable-gpu'],
});
try {
  const context = await browser.newContext({ baseURL: process.env.BASE_URL ?? '', locale: 'en-US' });
  const page = await context.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('dialog', (dialog) => dialog.accept());
  await page.goto('/');

  const values = {
    id: 'box-1',
    title: 'A box',
    count: '3',
    weight: '2.5',
    price: '12.50',
    dueDate: '2026-02-28',
    sentAt: '2026-02-28T12:00:00.000Z',
    contact: 'ann@example.com',
  };
  for (const [field, value] of Object.entries(values)) await page.fill(`#field-${field}`, value);
  await page.check('#field-isPaid');
  await page.click('button[type=submit]');
  await page.getByText('box-1 is saved.').waitFor();
  const saved = { ...values, count: 3, weight: 2.5, isPaid: true };
  expect(await (await page.request.get('/boxes/box-1')).json()).to.deep.equal(saved);
  expect((await new AxeBuilder({ page }).analyze()).violations).to.deep.equal([]);

  await page.fill('#field-price', '1');
  await page.click('button[type=submit]');
  await page.getByText('price must be a text with an amount and two decimals').waitFor();

  const { id: _, ...fields } = saved;
  for (let at = 0; at < MORE_THAN_A_PAGE; at += 1) await page.request.put(`/boxes/many-${at}`, { data: fields });
  await page.reload();
  await page.click('#more');
  await page.getByRole('button', { name: 'Delete many-9' }).waitFor();
  expect(await page.locator('#list section').count()).to.equal(MORE_THAN_A_PAGE + 1);
  await page.click('[aria-label="Delete box-1"]');
  await page.locator('[aria-label="Delete box-1"]').waitFor({ state: 'detached' });
  expect((await page.request.get('/boxes/box-1')).status()).to.equal(404);
  expect(errors).to.deep.equal([]);
} finally {
  await browser.close();
}
