/** The service under test: at BASE_URL, which `plusone dev --run` sets. */
const url = process.env.BASE_URL?.replace(/\/$/, '');
const token = process.env.WRITE_TOKEN;
const TIMEOUT_MILLISECONDS = 8_000;

/** A complete answer. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Undefined without a body. */
  readonly body: Record<string, unknown> | undefined;
}

/** Sends a request, with `json` as its body if there is one. */
export async function ask(
  method: string,
  path: string,
  json?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  if (!url) throw new Error('BASE_URL is not set; npm run test:integration starts a service and sets it');
  const response = await fetch(url + path, {
    method,
    headers: {
      ...(token && { authorization: `Bearer ${token}` }),
      ...(json !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS),
    ...(json !== undefined && { body: JSON.stringify(json) }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') === true;
  return { status: response.status, headers: response.headers, body: isJson && text ? JSON.parse(text) : undefined };
}

/** Ids that no other run uses, in their order. */
export function newIds(count: number): string[] {
  const run = `test-${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`;
  return Array.from({ length: count }, (_, at) => `${run}-${String(at).padStart(3, '0')}`);
}
