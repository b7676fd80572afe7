import { setGlobalProxyFromEnv } from 'node:http';
import { CHECKS, PROBE, putProbe } from '../alerts/probe.ts';
import { output } from '../terminal/programs.ts';
import { say, step } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import {
  certificateOf,
  certificateStack,
  environmentExport,
  loadBalancer,
  serviceStack,
  UPTIME_REGION,
  uptimeStack,
} from './cloud.ts';
import { command, confirm, type Target } from './command.ts';
import { PINGDOM, updatePingdom } from './pingdom.ts';

// Creates external uptime checks: by Pingdom if PINGDOM_TOKEN is set, else by Route 53.
await command('uptime', ['aws'], async (target) => {
  setGlobalProxyFromEnv();
  const address = process.env.LOAD_BALANCER || (await loadBalancer(target));
  if (!address) throw new Refusal(`no load balancer yet: ENV=${target.environment} make publish, or set LOAD_BALANCER`);
  const url = readUrl(address);
  const { PINGDOM_TOKEN: token } = process.env;
  const who = token
    ? 'Pingdom'
    : 'Route 53, from about 16 locations ($3.70 a month with its alarms, $2 more with HTTPS)';
  await confirm(
    `This stores the user “${PROBE.user}” at ${url.origin}, and creates checks that request it by ${who}. Are you sure?`,
    'yes',
  );
  await step(`the user ${PROBE.user}`, () => storeProbe(url));
  await step(token ? 'checks of Pingdom' : `the stack ${uptimeStack(target)} in ${UPTIME_REGION}`, () =>
    token ? updatePingdom(process.env.PINGDOM_URL || PINGDOM, token, serviceStack(target), url) : route53(target, url),
  );
  if (!token && url.protocol === 'https:') await watchCertificate(target, url.hostname);
  say(token ? '' : `\nNext: ENV=${target.environment} make pager, to be paged by these checks`);
});

function readUrl(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw new Refusal(`LOAD_BALANCER is ${address}; it must be a URL such as https://hello.example.com`);
}

async function storeProbe(url: URL): Promise<void> {
  const status = await putProbe(url, process.env.WRITE_TOKEN);
  if (status === 401) throw new Refusal('WRITE_TOKEN is missing or wrong; it must be that of the service');
  if (status >= 300) throw new Refusal(`PUT ${CHECKS.birthday.path} was answered with ${status}`);
}

async function route53(target: Target, url: URL): Promise<void> {
  const values = {
    Service: serviceStack(target),
    Region: target.region,
    Protocol: url.protocol === 'https:' ? 'HTTPS' : 'HTTP',
    Host: url.hostname,
    Port: url.port || (url.protocol === 'https:' ? '443' : '80'),
  };
  await deploy('uptime', uptimeStack(target), UPTIME_REGION, values);
}

/** Pingdom warns by itself; Route 53 does not look at certificates. */
async function watchCertificate(target: Target, host: string): Promise<void> {
  const Certificate = await certificateOf(target, host);
  const AlarmTopic = await environmentExport(target, 'AlarmTopic');
  if (Certificate === undefined || AlarmTopic === undefined) {
    say(`\nNo alarm on the certificate of ${host}: it is not in ACM, or not at the load balancer of this environment`);
    return;
  }
  await step(`the stack ${certificateStack(target)}`, () =>
    deploy('certificate', certificateStack(target), target.region, {
      Service: serviceStack(target),
      Certificate,
      AlarmTopic,
    }),
  );
}

async function deploy(
  template: 'uptime' | 'certificate',
  stack: string,
  region: string,
  values: Readonly<Record<string, string>>,
): Promise<void> {
  await output('aws', [
    ...['cloudformation', 'deploy', '--region', region, '--stack-name', stack],
    ...['--template-file', `tools/aws/${template}.yml`, '--no-fail-on-empty-changeset', '--parameter-overrides'],
    ...Object.entries(values).map(([name, value]) => `${name}=${value}`),
  ]);
}
