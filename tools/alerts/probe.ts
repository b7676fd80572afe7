/** What is asked from outside: by Route 53 or Pingdom (`make uptime`), and by the blackbox exporter in the kind cluster. */
import { Refusal } from '../terminal/refusal.ts';

/** The user that is asked for, with the longest username, which no person has. The date says nothing of anybody. */
export const PROBE = { user: 'plusoneuptimecheck'.padEnd(64, 'x'), dateOfBirth: '2000-01-01' } as const;

/**
 * The page needs no database; a birthday does. An answer without the text fails the check. The texts are in HTML and JSON
 * alike: these programs ask for no media type, and `/` answers them with JSON.
 */
export const CHECKS = {
  page: { path: '/', text: '/docs' },
  birthday: { path: `/hello/${PROBE.user}`, text: 'Hello' },
} as const;

/**
 * Stores the user. Resolves to the status of the answer: 200 or 204 when it is stored, 401 when the service has a
 * WRITE_TOKEN and `token` is not it.
 */
export async function putProbe(url: URL, token: string | undefined): Promise<number> {
  const answer = await fetch(new URL(CHECKS.birthday.path, url), {
    method: 'PUT',
    headers: { 'content-type': 'application/json', ...(token ? bearer('WRITE_TOKEN', token) : {}) },
    body: JSON.stringify({ dateOfBirth: PROBE.dateOfBirth }),
    signal: AbortSignal.timeout(10_000),
  });
  await answer.arrayBuffer();
  return answer.status;
}

/**
 * The header for a token, which is the value of `variable`.
 * @throws {Refusal} if it has characters that a header cannot have: the error of fetch would show it
 */
export function bearer(variable: string, token: string): { authorization: string } {
  if (!/^[!-~]+$/.test(token)) {
    throw new Refusal(`${variable} has spaces, line breaks or other characters that no token has`);
  }
  return { authorization: `Bearer ${token}` };
}
