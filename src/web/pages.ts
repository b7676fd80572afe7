import { readFileSync } from 'node:fs';
import { USERNAME, USERNAME_RULE } from '../users/schemas.ts';
import { escapeHtml } from './html.ts';
import { index, openapi } from './openapi.ts';
import { commonPages, type Page, page, TYPES } from './static.ts';

/** The result of a lookup without script: the greeting, or why there is none. */
export type Lookup =
  | { readonly username: string; readonly greeting: string }
  | { readonly username: string; readonly failure: string }
  /** The name is invalid: shown next to its field. */
  | { readonly username: string; readonly invalid: string };

const asset = (name: string) => readFileSync(new URL(`./assets/${name}`, import.meta.url), 'utf8');

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
 * The static resources of the public port.
 *
 * @param version The service's own version, as in package.json.
 * @param closed Whether changes require a token, for the OpenAPI document.
 */
export function pages(version: string, { closed }: { closed: boolean } = { closed: false }): readonly Page[] {
  return [
    page('/', TYPES.json, JSON.stringify(index(version))),
    page('/', TYPES.html, emptyHomePage(closed)),
    ...commonPages(openapi(version, { closed })),
    page('/assets/page.js', TYPES.js, asset('page.js')),
    page('/assets/icon.svg', TYPES.svg, asset('icon.svg')),
  ];
}
