import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { findChromium } from '../../tools/doctor/machine.ts';
import { authorization, serviceUnderTest } from './service.ts';

/** Without a sandbox, since tests also run as root in a container; without whatever Chromium asks of the world. */
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** How long a test waits for what the page shall do: ample, for machines with much else to do. */
export const PATIENCE_MILLISECONDS = 10_000;

/** A page in a browser, with what it complained about and what it loaded. */
export interface Visit {
  readonly page: Page;
  /** Errors of scripts and of the content security policy, and every load that failed. */
  readonly complaints: string[];
  /** Every URL that was asked for so far, with the bytes of its body. */
  loads(): Promise<{ url: string; bytes: number }[]>;
}

/** The Chromium of this machine, headless; undefined when there is none. CHROMIUM says where to look first. */
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
  page.setDefaultTimeout(PATIENCE_MILLISECONDS);
  const complaints: string[] = [];
  const loads: Promise<{ url: string; bytes: number }>[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    // An API's answer that is an error is logged by the browser, whoever handles it. And over plain HTTP, as through a
    // load balancer without a certificate, it says of a security header that it ignores it.
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
