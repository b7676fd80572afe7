import { z } from 'zod';
import { bearer, CHECKS } from '../alerts/probe.ts';
import { Refusal } from '../terminal/refusal.ts';

export const PINGDOM = 'https://api.pingdom.com/api/3.1';
/** How long before the certificate expires a check with HTTPS fails. */
const CERTIFICATE_DAYS = 14;

const list = z.object({ checks: z.array(z.object({ id: z.number(), name: z.string() })) });

/**
 * Makes or updates the checks of a service, `<service> page` and `<service> birthday`: https://docs.pingdom.com/api/#tag/Checks
 * @throws {Refusal} with what Pingdom answered when it does not take them
 */
export async function updatePingdom(api: string, token: string, service: string, url: URL): Promise<void> {
  const call = async (method: string, path: string, body?: object): Promise<unknown> => {
    const answer = await fetch(`${api}${path}`, {
      method,
      headers: { ...bearer('PINGDOM_TOKEN', token), 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(20_000),
    });
    const said = await answer.text();
    if (answer.status === 401 || answer.status === 403) {
      throw new Refusal(`Pingdom answered ${answer.status}: PINGDOM_TOKEN must be a token that may write`);
    }
    if (!answer.ok) throw new Refusal(`Pingdom answered ${answer.status}: ${said.slice(0, 200)}`);
    return JSON.parse(said);
  };
  const { checks } = list.parse(await call('GET', '/checks'));
  const encryption = url.protocol === 'https:';
  for (const [what, { path, text }] of Object.entries(CHECKS)) {
    const name = `${service} ${what}`;
    const settings = {
      name,
      host: url.hostname,
      url: path,
      port: Number(url.port) || (encryption ? 443 : 80),
      encryption,
      shouldcontain: text,
      resolution: 1,
      ...(encryption ? { verify_certificate: true, ssl_down_days_before: CERTIFICATE_DAYS } : {}),
    };
    const known = checks.find((check) => check.name === name);
    if (known) await call('PUT', `/checks/${known.id}`, settings);
    else await call('POST', '/checks', { ...settings, type: 'http' });
  }
}
