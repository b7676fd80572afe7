import type { IncomingMessage } from 'node:http';
import { Problem } from './problems.ts';

/** The largest request body that is accepted, in bytes. */
export const LARGEST_BODY = 16 * 1024;

const UTF8 = new TextDecoder('utf-8', { fatal: true });
const JSON_TYPE = /^application\/json\s*(;|$)/i;

/**
 * The request's body, parsed from JSON. Not by restify's parser, which crashes on a wrong `Content-Encoding` and counts
 * compressed bytes.
 * @throws {Problem} 415 if it isn't uncompressed JSON, 413 above 16 KiB, 400 if it cannot be parsed
 */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new Problem(415, 'The body must be sent without a Content-Encoding.', {
      headers: { 'Accept-Encoding': 'identity' },
    });
  }
  if (!JSON_TYPE.test(request.headers['content-type'] ?? '')) {
    throw new Problem(415, 'The body must be JSON, with the header Content-Type: application/json.');
  }
  const bytes = await readBytes(request);
  try {
    return JSON.parse(UTF8.decode(bytes));
  } catch {
    // The parser's message quotes the body, which must not reach a response or the log.
    throw new Problem(400, bytes.length === 0 ? 'The body is empty; it must be JSON.' : 'The body is not valid JSON.');
  }
}

async function readBytes(request: IncomingMessage): Promise<Buffer> {
  // The rest of a body that is too large is still read, within the request's time limit, and discarded: a client whose
  // connection closes while it sends may never read the response.
  const tooLarge = () => new Problem(413, `The body must not be larger than ${LARGEST_BODY} bytes.`);
  if (Number(request.headers['content-length'] ?? 0) > LARGEST_BODY) throw tooLarge();
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > LARGEST_BODY) reject(tooLarge());
      else chunks.push(chunk);
    });
    request.on('end', () => resolve(Buffer.concat(chunks)));
    request.on('error', () => reject(new Problem(400, 'The body ended before it was complete.')));
  });
}
