import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Request, Response, Server } from 'restify';
import { send } from '../http/answers.ts';
import { preferredType, requireAcceptable } from '../http/negotiation.ts';
import { getAndHead } from '../http/restify.ts';
import type { OpenApi } from './contract.ts';
import { docs } from './docs.ts';

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

/** The media types of pages. */
export const TYPES = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  json: 'application/json',
  svg: 'image/svg+xml',
} as const;

/** `no-cache` means "revalidate first" (RFC 9111, 5.2.2.4): a new version is used immediately, an old one costs a 304. */
export function page(path: string, contentType: string, text: string): Page {
  const body = Buffer.from(text);
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  return { path, contentType, body, etag, headers: { 'cache-control': 'no-cache' } };
}

const asset = (name: string) => readFileSync(new URL(`./assets/${name}`, import.meta.url), 'utf8');

/** The pages that every service has: its API description, and the style of all pages. */
export function commonPages(contract: OpenApi, port?: number): readonly Page[] {
  return [
    page('/docs', TYPES.html, docs(contract, port)),
    page('/openapi.json', TYPES.json, JSON.stringify(contract)),
    page('/assets/page.css', TYPES.css, asset('page.css')),
    page('/assets/docs.css', TYPES.css, asset('docs.css')),
    page('/assets/docs.js', TYPES.js, asset('docs.js')),
  ];
}

/** Answers a request for `page` by itself; false leaves it to the page. `vary` are headers of the response. */
type Answer = (request: Request, response: Response, page: Page, vary: readonly string[]) => Promise<boolean>;

/**
 * Routes GET and HEAD to static resources. Pages with the same path are alternatives: the first is the default (no
 * Accept, or any type), the others are for clients that request their type.
 */
export function servePages(server: Server, pages: readonly Page[], instead: Answer = async () => false): void {
  for (const [path, alternatives] of Map.groupBy(pages, (page) => page.path)) {
    const types = alternatives.map((page) => page.contentType.replace(/;.*/, ''));
    const [first, ...others] = types;
    if (first === undefined) continue;
    const vary = others.length > 0 ? ['vary', 'Accept'] : [];

    getAndHead(server, path, async (request, response) => {
      // With alternatives, the first is for clients that accept none of them.
      const type = others.length > 0 ? (preferredType(request, types) ?? first) : requireAcceptable(request, first);
      const page = alternatives[types.indexOf(type)];
      if (page === undefined) throw new Error(`no page of type ${type} at ${path}`);
      if (await instead(request, response, page, vary)) return;
      const headers = ['etag', page.etag, ...Object.entries(page.headers).flat(), ...vary];
      if (isCached(request.headers['if-none-match'], page.etag)) send(response, 304, headers);
      else send(response, 200, ['content-type', page.contentType, ...headers], page.body);
    });
  }
}

/** Whether an If-None-Match header names this version, or any: https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2 */
function isCached(ifNoneMatch: string | undefined, etag: string): boolean {
  return ifNoneMatch !== undefined && (ifNoneMatch.trim() === '*' || ifNoneMatch.includes(etag));
}
