import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { USERNAME, USERNAME_RULE } from '../users/schemas.ts';
import { docs } from './docs.ts';
import { escapeHtml } from './html.ts';
import { index, openapi } from './openapi.ts';

/** One representation of one path, complete and in memory. */
export interface Page {
  readonly path: string;
  /** With charset where it has one; the part before `;` is what Accept is matched with. */
  readonly contentType: string;
  readonly body: Buffer;
  /** A strong validator (RFC 9110, 8.8.3), quotes included. */
  readonly etag: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** The result of a lookup without script: the greeting, or why there is none. */
export type Lookup =
  | { readonly username: string; readonly greeting: string }
  | { readonly username: string; readonly failure: string }
  /** The name is invalid: shown next to its field. */
  | { readonly username: string; readonly invalid: string };

const asset = (name: string) => readFileSync(new URL(`./assets/${name}`, import.meta.url), 'utf8');

/** `no-cache` means "revalidate first" (RFC 9111, 5.2.2.4): a new version is used immediately, an old one costs a 304. */
function page(path: string, contentType: string, text: string): Page {
  const body = Buffer.from(text);
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  return { path, contentType, body, etag, headers: { 'cache-control': 'no-cache' } };
}

const usernameHint = `${USERNAME_RULE}. Capitals count: ann is not Ann.`;
const home = asset('page.html')
  .replace('{{username}}', USERNAME)
  .replace('{{usernameRule}}', USERNAME_RULE)
  .replace('{{usernameHint}}', usernameHint);

/** The page at `/` without a lookup; it has a field for the token if changes require one. */
function emptyHomePage(closed: boolean): string {
  return closed ? fill(home, '<div id="closed" hidden>', '<div id="closed">') : home;
}

/**
 * The page at `/` with the result of a lookup: the response to the form without script, and to a link such as
 * `/?username=ann`.
 *
 * @param closed Whether changes require a token; the page has a field for it then.
 */
export function homePage(lookup: Lookup, { closed }: { closed: boolean } = { closed: false }): string {
  const page = fill(
    emptyHomePage(closed),
    'name="username" value=""',
    `name="username" value="${escapeHtml(lookup.username)}"`,
  );
  if ('invalid' in lookup) {
    return fill(fill(page, 'aria-invalid="false"', 'aria-invalid="true"'), usernameHint, escapeHtml(lookup.invalid));
  }
  const [state, answer] = 'greeting' in lookup ? ['greeting', lookup.greeting] : ['problem', lookup.failure];
  return fill(fill(page, 'data-state="empty"', `data-state="${state}"`), invitation, escapeHtml(answer));
}

const invitation = 'Type a name to see how many days are left.';

/** The page with its first `from` replaced. Throws when it has none. */
function fill(html: string, from: string, to: string): string {
  if (!html.includes(from)) throw new Error(`page.html does not contain ${from}`);
  return html.replace(from, () => to);
}

/**
 * The static resources of the public port. Pages with the same path are alternatives: the first is the default (no
 * Accept, or any type), the others are for clients that request their type.
 *
 * @param version The service's own version, as in package.json.
 * @param closed Whether changes require a token, for the OpenAPI document.
 */
export function pages(version: string, { closed }: { closed: boolean } = { closed: false }): readonly Page[] {
  const html = 'text/html; charset=utf-8';
  const css = 'text/css; charset=utf-8';
  const js = 'text/javascript; charset=utf-8';
  const contract = openapi(version, { closed });
  return [
    page('/', 'application/json', JSON.stringify(index(version))),
    page('/', html, emptyHomePage(closed)),
    page('/docs', html, docs(contract)),
    page('/openapi.json', 'application/json', JSON.stringify(contract)),
    page('/assets/page.css', css, asset('page.css')),
    page('/assets/page.js', js, asset('page.js')),
    page('/assets/docs.css', css, asset('docs.css')),
    page('/assets/docs.js', js, asset('docs.js')),
    page('/assets/icon.svg', 'image/svg+xml', asset('icon.svg')),
  ];
}
