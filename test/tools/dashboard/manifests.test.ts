import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { readConfig } from '../../../src/config.ts';
import { CHECKS } from '../../../tools/alerts/probe.ts';
import { SCRAPE_SECONDS } from '../../../tools/dashboard/prometheus.ts';

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
