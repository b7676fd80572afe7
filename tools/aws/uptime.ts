import { setGlobalProxyFromEnv } from 'node:http';
import { z } from 'zod';
import { output } from '../terminal/programs.ts';
import { say, step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { loadBalancer, serviceStack, UPTIME_REGION } from './cloud.ts';
import { command, confirm, type Target } from './command.ts';

/** The user that the checks request; not a real person's birthday. */
const PROBE = { user: 'uptime', dateOfBirth: '2000-01-01' };

function uptimeStack(target: Target): string {
  return `${serviceStack(target)}-uptime`;
}

// Creates external uptime checks: by Pingdom if PINGDOM_TOKEN is set, else by Route 53.
await command('uptime', ['aws'], async (target) => {
  setGlobalProxyFromEnv();
  const address = process.env.LOAD_BALANCER || (await loadBalancer(target));
  if (!address) throw new Refusal(`no load balancer yet: ENV=${target.environment} make publish, or set LOAD_BALANCER`);
  const url = readUrl(address);
  const { PINGDOM_TOKEN: token } = process.env;
  const who = token ? 'Pingdom' : 'Route 53, from about 16 locations ($4.00 a month with its alarms)';
  await confirm(
    `This stores the user “${PROBE.user}” at ${url.origin}, and creates checks that request it by ${who}. Are you sure?`,
    'yes',
  );
  await step(`the user ${PROBE.user}`, () => putProbe(url));
  await step(token ? 'checks of Pingdom' : `the stack ${uptimeStack(target)} in ${UPTIME_REGION}`, () =>
    token ? pingdom(target, url, token) : route53(target, url),
  );
  say(token ? '' : `\nNext: ENV=${target.environment} make pager, to be paged by these checks`);
});

function readUrl(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw new Refusal(`LOAD_BALANCER is ${address}; it must be a URL such as https://hello.example.com`);
}

async function putProbe(url: URL): Promise<void> {
  const { WRITE_TOKEN: token } = process.env;
  const answer = await fetch(new URL(`/hello/${PROBE.user}`, url), {
    method: 'PUT',
    headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
    body: JSON.stringify({ dateOfBirth: PROBE.dateOfBirth }),
    signal: AbortSignal.timeout(10_000),
  });
  if (answer.status === 401) throw new Refusal('WRITE_TOKEN is missing or wrong; it must be that of the service');
  if (!answer.ok) throw new Refusal(`PUT /hello/${PROBE.user} was answered with ${answer.status}`);
}

async function route53(target: Target, url: URL): Promise<void> {
  const values = {
    Service: serviceStack(target),
    Region: target.region,
    Protocol: url.protocol === 'https:' ? 'HTTPS' : 'HTTP',
    Host: url.hostname,
    Port: url.port || (url.protocol === 'https:' ? '443' : '80'),
    User: PROBE.user,
  };
  const parameters = Object.entries(values).map(([name, value]) => `${name}=${value}`);
  const words = [
    '--template-file',
    'tools/aws/uptime.yml',
    '--stack-name',
    uptimeStack(target),
    '--no-fail-on-empty-changeset',
  ];
  await output('aws', [
    ...['cloudformation', 'deploy', '--region', UPTIME_REGION],
    ...words,
    '--parameter-overrides',
    ...parameters,
  ]);
}

/** Creates or updates Pingdom's two checks, which are found by name: https://docs.pingdom.com/api/#tag/Checks */
async function pingdom(target: Target, url: URL, token: string): Promise<void> {
  const base = process.env.PINGDOM_URL || 'https://api.pingdom.com/api/3.1';
  const call = async (method: string, path: string, body?: object): Promise<unknown> => {
    const answer = await fetch(`${base}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(20_000),
    });
    if (answer.status === 401 || answer.status === 403) {
      throw new Refusal(`Pingdom answered ${answer.status}: PINGDOM_TOKEN must be a token that may write`);
    }
    if (!answer.ok) throw new Refusal(`Pingdom answered ${answer.status}: ${(await answer.text()).slice(0, 200)}`);
    return await answer.json();
  };
  const list = z.object({ checks: z.array(z.object({ id: z.number(), name: z.string() })) });
  const { checks } = list.parse(await call('GET', '/checks'));
  const encryption = url.protocol === 'https:';
  for (const { what, path, text } of [
    { what: 'page', path: '/', text: '<title' },
    { what: 'birthday', path: `/hello/${PROBE.user}`, text: 'Hello' },
  ]) {
    const name = `${serviceStack(target)} ${what}`;
    const settings = {
      name,
      host: url.hostname,
      url: path,
      port: Number(url.port) || (encryption ? 443 : 80),
      encryption,
      shouldcontain: text,
      resolution: 1,
      ...(encryption ? { verify_certificate: true, ssl_down_days_before: 14 } : {}),
    };
    const known = checks.find((check) => check.name === name);
    if (known) await call('PUT', `/checks/${known.id}`, settings);
    else await call('POST', '/checks', { ...settings, type: 'http' });
  }
}
