import { readdirSync, readFileSync } from 'node:fs';
import { parser } from '@prometheus-io/lezer-promql';
import { expect } from 'chai';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { DEFAULT_THRESHOLDS } from '../../../functions/decide.ts';
import { readPodSettings } from '../../../functions/settings.ts';
import { readConfig } from '../../../src/config.ts';
import { createMetrics } from '../../../src/operations/metrics.ts';
import { CHECKS } from '../../../tools/alerts/probe.ts';
import { SCRAPE_SECONDS } from '../../../tools/dashboard/prometheus.ts';
import { idle } from '../../idle.ts';

const DEFAULTS = readConfig({ DATABASE_HOST: 'mysql', DATABASE_USERNAME: 'plusone', DATABASE_PASSWORD: 'password' });
const scrape = z
  .object({ global: z.object({ scrape_interval: z.string() }), scrape_configs: z.array(z.looseObject({})) })
  .parse(parse(readFileSync('tools/dashboard/kubernetes/prometheus.yml', 'utf8')));
const objects = readdirSync('tools/dashboard/kubernetes')
  .filter((file) => file.endsWith('.yaml'))
  .flatMap((file) =>
    parseAllDocuments(readFileSync(`tools/dashboard/kubernetes/${file}`, 'utf8')).map((one) => one.toJS()),
  );

describe('the monitoring in the kind cluster', () => {
  it('scrapes the metrics port of the service', () => {
    expect(JSON.stringify(scrape.scrape_configs)).to.contain(`"replacement":"$1:${DEFAULTS.metricsPort}"`);
    const manifest = readFileSync('copilot/plusone/manifest.yml', 'utf8');
    expect(manifest, 'the manifest sets another one').to.not.contain('METRICS_PORT');
  });

  it('allows only Prometheus to reach that port', () => {
    const policy = objects.find(({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.namespace === 'plusone');
    expect(policy.spec.ingress).to.deep.equal([
      {
        from: [
          {
            namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } },
            podSelector: { matchLabels: { 'app.kubernetes.io/name': 'prometheus' } },
          },
        ],
        ports: [{ port: DEFAULTS.metricsPort }],
      },
    ]);
  });

  it('asks from outside for what Route 53 and Pingdom ask', () => {
    const { modules } = parse(readFileSync('tools/dashboard/kubernetes/blackbox.yml', 'utf8'));
    const job = scrape.scrape_configs.find(({ job_name: name }) => name === 'uptime');
    const checks = Object.entries(CHECKS);
    expect(job?.static_configs).to.deep.equal(
      checks.map(([check, { path }]) => ({ targets: [`http://plusone.plusone:5000${path}`], labels: { check } })),
    );
    for (const [check, { text }] of checks) {
      expect(modules[check].http.fail_if_body_not_matches_regexp, check).to.deep.equal([text]);
    }
  });

  it('scrapes at the interval that the picture and Grafana assume', () => {
    const { datasources } = parse(readFileSync('tools/dashboard/grafana/datasource.yaml', 'utf8'));
    expect([scrape.global.scrape_interval, datasources[0].jsonData.timeInterval]).to.deep.equal([
      `${SCRAPE_SECONDS}s`,
      `${SCRAPE_SECONDS}s`,
    ]);
  });

  it('runs the versions of Prometheus and Grafana that the picture and the types are for', () => {
    const images = objects.flatMap(({ kind, spec }) =>
      kind === 'Deployment' ? spec.template.spec.containers.map(({ image }: { image: string }) => image) : [],
    );
    const module = /version: 'v0\.(\d)(\d\d)\.(\d+)'/.exec(readFileSync('tools/dashboard/prometheus.ts', 'utf8'));
    const types = JSON.parse(readFileSync('node_modules/@grafana/schema/package.json', 'utf8')).version;
    const [major, minor] = types.split('.');
    expect(images).to.include(`prom/prometheus:v${module?.[1]}.${Number(module?.[2])}.${module?.[3]}`);
    expect(images.find((image) => image.startsWith('grafana/'))).to.match(
      new RegExp(`^grafana/grafana:${major}\\.${minor}\\.`),
    );
  });

  it('complies with Pod Security "restricted", with a read-only root and limits', () => {
    for (const { kind, metadata, spec } of objects) {
      if (kind !== 'Deployment') continue;
      const pod = spec.template.spec;
      expect(pod.securityContext, metadata.name).to.deep.include({
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      for (const container of pod.containers) {
        expect(container.securityContext, metadata.name).to.deep.equal({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
        expect(container.resources.limits, metadata.name).to.have.keys('cpu', 'memory', 'ephemeral-storage');
      }
    }
  });

  it('has settings of the scaler that it accepts, with the labels and metrics of the service', () => {
    const scaler = objects.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === 'scaler');
    const { metrics, thresholds, minuteSeconds } = readPodSettings(
      Object.fromEntries(
        scaler.spec.template.spec.containers[0].env.map(({ name, value }: Record<string, string>) => [name, value]),
      ),
    );
    expect({ thresholds, minuteSeconds }).to.deep.equal({ thresholds: DEFAULT_THRESHOLDS, minuteSeconds: 60 });
    for (const [name, query] of Object.entries(metrics)) {
      parser.parse(query.replaceAll('MINUTE', '60s')).iterate({
        enter: ({ type, from }) => {
          if (type.isError) expect.fail(`${name}: ${query.slice(from)}`);
        },
      });
    }
    const used = [...new Set(JSON.stringify(metrics).match(/\b(plusone|http)_\w+/g))];
    const known = createMetrics({ version: '1', revision: 'abc' }, () => idle).registry.getMetricsAsArray();
    const names = known.flatMap(({ name }) => [name, `${name}_bucket`]);
    expect(used.filter((name) => !names.includes(name))).to.deep.equal([]);
    expect(used).to.have.lengthOf(6);
  });

  it('lets the scaler change one autoscaler, and nothing else', () => {
    const role = objects.find(({ kind, metadata }) => kind === 'Role' && metadata.name === 'scaler');
    expect(role.rules).to.deep.equal([
      {
        apiGroups: ['autoscaling'],
        resources: ['horizontalpodautoscalers'],
        resourceNames: ['plusone'],
        verbs: ['get', 'patch', 'watch'],
      },
      { apiGroups: ['apps'], resources: ['deployments'], resourceNames: ['plusone'], verbs: ['get'] },
    ]);
  });

  it('lets only Alertmanager and Prometheus reach the scaler, whose webhook Alertmanager calls', () => {
    const policy = objects.find(({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === 'scaler');
    const callers = policy.spec.ingress[0].from.map(
      ({ podSelector }: { podSelector: { matchLabels: object } }) => Object.values(podSelector.matchLabels)[0],
    );
    expect(callers).to.have.members(['alertmanager', 'prometheus']);
    const { receivers, route } = parse(readFileSync('tools/dashboard/kubernetes/alertmanager.yml', 'utf8'));
    const webhook = receivers.find(({ name }: { name: string }) => name === 'scaler').webhook_configs;
    expect(webhook).to.deep.equal([{ url: 'http://scaler.monitoring:8080/scale', send_resolved: false }]);
    expect(route.routes.find(({ receiver }: { receiver: string }) => receiver === 'scaler').matchers).to.deep.equal([
      'severity = scale',
    ]);
  });

  it('allows neither logins nor changes in Grafana', () => {
    const grafana = objects.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === 'grafana');
    const variables = Object.fromEntries(
      grafana.spec.template.spec.containers[0].env.map(({ name, value }: { name: string; value: string }) => [
        name,
        value,
      ]),
    );
    expect(variables).to.include({
      GF_AUTH_ANONYMOUS_ENABLED: 'true',
      GF_AUTH_ANONYMOUS_ORG_ROLE: 'Viewer',
      GF_AUTH_DISABLE_LOGIN_FORM: 'true',
      GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION: 'true',
    });
  });
});
