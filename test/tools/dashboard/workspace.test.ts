import { expect } from 'chai';
import { parse } from 'yaml';
import { type MonitoredWorkload, monitoringObjects } from '../../../tools/dashboard/workspace.ts';

const alarm = (expression: string) => ({
  name: 'Errors',
  what: 'web fails',
  prometheus: { expression, forSeconds: 30 },
});
const web = { name: 'web', port: 9464, alarms: [alarm('up == 0')] };
const api = { name: 'api', port: 9000, alarms: [alarm('up == 0')] };

function objectNamed(kind: string, name: string, workloads: readonly MonitoredWorkload[]) {
  const found = monitoringObjects('shop', workloads, 10).find(
    (object) => object.kind === kind && object.metadata.name === name,
  );
  if (found === undefined) throw new Error(`there is no ${kind} ${name}`);
  return JSON.parse(JSON.stringify(found));
}

describe('the monitoring of a workspace', () => {
  it('has no name of Plusone', () => {
    expect(JSON.stringify(monitoringObjects('shop', [web, api], 60))).to.not.contain('plusone');
  });

  it('lets Prometheus list the pods of the application, and reach only the metrics of the workloads', () => {
    expect(objectNamed('Role', 'prometheus', [web, api]).metadata.namespace).to.equal('shop');
    const { metadata, spec } = objectNamed('NetworkPolicy', 'metrics', [web, api]);
    expect([metadata.namespace, spec.podSelector.matchExpressions, spec.ingress[0].ports]).to.deep.equal([
      'shop',
      [{ key: 'app.kubernetes.io/name', operator: 'In', values: ['web', 'api'] }],
      [{ port: 9464 }, { port: 9000 }],
    ]);
  });

  it('asks each workload on its port, and has its alarms as rules', () => {
    const { data } = objectNamed('ConfigMap', 'prometheus', [web, api]);
    const { scrape_configs: jobs } = parse(data['prometheus.yml']);
    expect(jobs.map(({ job_name: name }: { job_name: string }) => name)).to.deep.equal(['web', 'api']);
    expect(jobs[1].kubernetes_sd_configs).to.deep.equal([
      {
        role: 'pod',
        namespaces: { names: ['shop'] },
        selectors: [{ role: 'pod', label: 'app.kubernetes.io/name=api' }],
      },
    ]);
    expect(JSON.stringify(jobs[1])).to.contain('"replacement":"$1:9000"');
    expect(parse(data['alerts.yml']).groups[0].rules).to.deep.equal([
      {
        alert: 'Errors',
        expr: 'up == 0',
        for: '30s',
        labels: { workload: 'web' },
        annotations: { summary: 'web fails' },
      },
    ]);
  });

  it('starts another pod when an alarm changes, and only then', () => {
    const hashOf = (workload: MonitoredWorkload) =>
      objectNamed('Deployment', 'prometheus', [workload]).spec.template.metadata.annotations.configuration;
    expect(hashOf(web)).to.equal(hashOf({ ...web }));
    expect(hashOf(web)).to.not.equal(hashOf({ ...web, alarms: [alarm('up == 1')] }));
  });
});
