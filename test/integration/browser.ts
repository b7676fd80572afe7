import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { findChromium } from '../../tools/doctor/machine.ts';
import { authorization, serviceUnderTest } from './service.ts';

/** Without a sandbox, because tests also run as root in a container; without Chromium's own network requests. */
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** How long a test waits for the page; long enough for busy machines. */
export const TIMEOUT_MILLISECONDS = 10_000;

/** A page in a browser, with its errors and the resources it loaded. */
export interface Visit {
  readonly page: Page;
  /** Errors of scripts and of the content security policy, and failed loads. */
  readonly complaints: string[];
  /** Every requested URL, with the size of its body in bytes. */
  loads(): Promise<{ url: string; bytes: number }[]>;
}

/** The Chromium of this machine, headless; undefined if there is none. The variable CHROMIUM names another. */
export async function launch(): Promise<Browser | undefined> {
  const executablePath = findChromium();
  return executablePath === undefined ? undefined : await chromium.launch({ executablePath, args: ARGUMENTS });
}

/** Opens a path of the service in a fresh profile; American English, so that dates are typed month first. */
export async function visit(browser: Browser, path: string, options: BrowserContextOptions = {}): Promise<Visit> {
  const { url } = await serviceUnderTest();
  const context = await browser.newContext({
    baseURL: url,
    locale: 'en-US',
    extraHTTPHeaders: authorization(),
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(TIMEOUT_MILLISECONDS);
  const complaints: string[] = [];
  const loads: Promise<{ url: string; bytes: number }>[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    // The browser logs error responses of the API even if the page handles them. Over plain HTTP, for example through a
    // load balancer without a certificate, it logs that it ignores a security header.
    const isExpected =
      /\/hello\//.test(message.location().url) || /^The Cross-Origin-Opener-Policy header/.test(message.text());
    if (['error', 'warning'].includes(message.type()) && !isExpected) {
      complaints.push(message.text());
    }
  });
  page.on('request', (request) => {
    const body = request.response().then((response) => response?.body());
    loads.push(body.then((bytes) => ({ url: request.url(), bytes: bytes?.length ?? 0 })));
  });
  await page.goto(path, { waitUntil: 'load' });
  return { page, complaints, loads: () => Promise.all(loads) };
}
