import { readFileSync } from 'node:fs';
import { parser } from '@prometheus-io/lezer-promql';
import { expect } from 'chai';
import { type Document, isScalar, parseDocument, visit } from 'yaml';
import { z } from 'zod';
import { scalerMetrics } from '../../../functions/pod-scaler.ts';
import { createMetrics } from '../../../src/operations/metrics.ts';
import { cloudWatchAddon, type DashboardBody, dashboardBody } from '../../../tools/dashboard/cloudwatch.ts';
import { grafanaDashboard } from '../../../tools/dashboard/grafana.ts';
import { PANELS, type Panel } from '../../../tools/dashboard/panels.ts';
import { idle } from '../../idle.ts';

const ADDON = 'copilot/plusone/addons/dashboard.yml';

describe('the panels of the dashboards', () => {
  it('have unique titles', () => {
    const titles = PANELS.map(({ title }) => title);
    expect(new Set(titles)).to.have.lengthOf(titles.length);
  });

  it('are on at least one dashboard, with a reason if they are not on the other', () => {
    for (const { title, prometheus, cloudwatch } of PANELS) {
      const reasons = [prometheus, cloudwatch].flatMap((side) => ('missing' in side ? [side.missing] : []));
      expect(reasons, title).to.have.lengthOf.at.most(1);
      for (const reason of reasons) expect(reason, title).to.have.lengthOf.above(20);
    }
  });

  it('have valid PromQL', () => {
    const errors: string[] = [];
    for (const { title, expression } of queries()) {
      tree(expression).iterate({
        enter: ({ type, from }) => {
          if (type.isError) errors.push(`${title}: ${expression.slice(from)}`);
        },
      });
    }
    expect(errors).to.deep.equal([]);
  });

  it('query metrics that exist', async () => {
    const known = new Set([...(await metricsOfTheService()), ...(await namesIn(scalerMetrics().registry))]);
    const asked = queries().flatMap(({ expression }) => metricsIn(expression));
    // The others are Kubernetes's and Prometheus's own: test/cluster asks a real one for them.
    const ours = asked.filter((name) => !/^(kube_.*|up)$/.test(name));
    expect(ours.filter((name) => !known.has(name))).to.deep.equal([]);
    expect(ours).to.include('http_request_duration_seconds_bucket');
  });
});

describe('the Grafana dashboard', () => {
  it('is what the definition makes: npm run dashboard:build', () => {
    const committed = JSON.parse(readFileSync('tools/dashboard/grafana/plusone.json', 'utf8'));
    expect(committed).to.deep.equal(JSON.parse(JSON.stringify(grafanaDashboard())));
  });

  it('has every panel of the definition, in order, with its queries', () => {
    const graphs = (grafanaDashboard().panels ?? []).flatMap((panel) => (panel.type === 'row' ? [] : [panel]));
    const found = graphs.map((panel) => ({
      title: panel.title,
      queries: ('targets' in panel ? (panel.targets ?? []) : []).map(({ expr }) => expr),
    }));
    const wanted = PANELS.flatMap(({ title, prometheus }) =>
      'missing' in prometheus ? [] : [{ title, queries: prometheus.queries.map(({ expression }) => expression) }],
    );
    expect(found).to.deep.equal(wanted);
  });

  it('has panels that do not overlap', () => {
    const places = (grafanaDashboard().panels ?? []).map(({ gridPos }) => gridPos ?? { x: 0, y: 0, w: 0, h: 0 });
    expectNoOverlap(places.map(({ x, y, w, h }) => ({ x, y, width: w, height: h })));
  });

  it('queries the provisioned data source', () => {
    const provisioned = z
      .object({ datasources: z.tuple([z.object({ uid: z.string(), url: z.string() })]) })
      .parse(parseDocument(readFileSync('tools/dashboard/grafana/datasource.yaml', 'utf8')).toJS()).datasources[0];
    const json = JSON.stringify(grafanaDashboard());
    const uids = [...json.matchAll(/"datasource":\{"type":"prometheus","uid":"([^"]+)"\}/g)].map(([, uid]) => uid);
    expect(new Set(uids)).to.deep.equal(new Set([provisioned.uid]));
  });
});

describe('the CloudWatch dashboard', () => {
  it('is what the definition makes: npm run dashboard:build', () => {
    expect(readFileSync(ADDON, 'utf8')).to.equal(cloudWatchAddon());
  });

  it('has every panel of the definition, in order', () => {
    const found = widgets().map(({ properties }) => properties.title);
    const wanted = PANELS.filter(({ cloudwatch }) => !('missing' in cloudwatch)).map(({ title }) => title);
    expect(found).to.deep.equal(wanted);
  });

  it('shows every series of its panels', () => {
    const found = widgets().map(({ properties }) => shownBy(properties));
    const wanted = PANELS.filter(({ cloudwatch }) => !('missing' in cloudwatch)).map(wantedBy);
    expect(found).to.deep.equal(wanted);
  });

  it('uses each id once in a widget, and expressions use only existing ids', () => {
    const names = z.looseObject({ id: z.string().optional(), expression: z.string().optional() });
    for (const { properties } of widgets()) {
      const { metrics } = z.looseObject({ metrics: z.array(z.array(z.unknown())).default([]) }).parse(properties);
      const options = metrics.map((entry) => names.parse(entry.at(-1)));
      const ids = options.flatMap(({ id }) => (id === undefined ? [] : [id]));
      expect(new Set(ids)).to.have.lengthOf(ids.length);
      const used = options.flatMap(({ expression = '' }) =>
        expression.startsWith('SEARCH') ? [] : (expression.match(/\b[a-z]\w*/g) ?? []),
      );
      expect(new Set(used)).to.deep.equal(new Set(ids));
    }
  });

  it('has widgets that do not overlap', () => {
    expectNoOverlap(dashboardBody().widgets);
  });

  it('has only the three parameters of Copilot and those of addons.parameters.yml', () => {
    const extra = z
      .object({ Parameters: z.record(z.string(), z.unknown()) })
      .parse(template('copilot/plusone/addons/addons.parameters.yml').toJS());
    const { Parameters } = z.object({ Parameters: z.record(z.string(), z.unknown()) }).parse(template(ADDON).toJS());
    expect(['App', 'Env', 'Name', ...Object.keys(extra.Parameters)]).to.include.members(Object.keys(Parameters));
  });

  it('uses only names that are parameters, pseudo parameters or imported', () => {
    const text = readFileSync(ADDON, 'utf8');
    const names = new Set([...text.matchAll(/\$\{([^}]+)\}/g)].map(([, name]) => name));
    expect([...names]).to.have.members([
      ...['App', 'Env', 'Name', 'LoadBalancer', 'TargetGroup'],
      ...['AWS::Region', 'Cluster', 'Database', 'DatabaseDimension'],
    ]);
  });

  it('imports only exports of the environment', () => {
    const imported = [...readFileSync(ADDON, 'utf8').matchAll(/!ImportValue \{ 'Fn::Sub': '(\S+)' \}/g)];
    const exported = readFileSync('copilot/environments/addons/database.yml', 'utf8');
    // Copilot's own template exports the cluster.
    const ofTheAddons = imported.map(([, name]) => name).filter((name) => !name?.endsWith('-ClusterId'));
    expect(ofTheAddons).to.have.lengthOf(2);
    for (const name of ofTheAddons) expect(exported).to.contain(`Export: { Name: !Sub '${name}' }`);
  });

  it('is valid JSON with the names substituted, and each SEARCH has at most 1024 characters', () => {
    let body = '';
    visit(template(ADDON), {
      Scalar(_, { value }) {
        if (typeof value === 'string' && value.includes('"widgets"')) body = value;
      },
    });
    const longest = 'x'.repeat(60);
    const filled: DashboardBody = JSON.parse(body.replaceAll(/\$\{[^}]+\}/g, longest));
    const expressions = JSON.stringify(filled.widgets).match(/SEARCH\(.*?\)/g) ?? [];
    expect(expressions).to.have.lengthOf.above(3);
    for (const expression of expressions) expect(expression).to.have.lengthOf.below(1024);
  });
});

function queries(): { title: string; expression: string }[] {
  return PANELS.flatMap(({ title, prometheus }) =>
    'missing' in prometheus
      ? []
      : prometheus.queries.map(({ expression, legend }) => ({ title: `${title}, ${legend}`, expression })),
  );
}

/** As Prometheus gets it: `$__rate_interval` is Grafana's. */
function tree(expression: string) {
  return parser.parse(expression.replaceAll('$__rate_interval', '20s'));
}

function metricsIn(expression: string): string[] {
  const written = expression.replaceAll('$__rate_interval', '20s');
  const names: string[] = [];
  tree(expression).iterate({
    enter: ({ name, node, from, to }) => {
      if (name === 'Identifier' && node.parent?.name === 'VectorSelector') names.push(written.slice(from, to));
    },
  });
  return names;
}

async function metricsOfTheService(): Promise<Set<string>> {
  const metrics = createMetrics({ version: '1', revision: 'abc' }, () => idle);
  metrics.observe('GET', '/hello/:username', 200, 0.001);
  return await namesIn(metrics.registry);
}

async function namesIn(registry: { metrics(): Promise<string> }): Promise<Set<string>> {
  return new Set([...(await registry.metrics()).matchAll(/^([a-z_]\w*)/gm)].map(([, name]) => name ?? ''));
}

function widgets() {
  return dashboardBody().widgets.filter(({ type }) => type !== 'text');
}

/** What a widget shows: the labels of what is drawn, or the query of the log. */
function shownBy(properties: Readonly<Record<string, unknown>>): string[] {
  const { metrics, query } = z
    .looseObject({ metrics: z.array(z.array(z.unknown())).default([]), query: z.string().optional() })
    .parse(properties);
  if (query !== undefined) return query.split('\n| ').slice(1);
  const options = z.looseObject({ label: z.string().default(''), visible: z.boolean().default(true) });
  return metrics
    .map((entry) => options.parse(entry.at(-1)))
    .filter(({ visible }) => visible)
    .map(({ label }) => label);
}

function wantedBy({ cloudwatch }: Panel): readonly string[] {
  if ('missing' in cloudwatch) return [];
  return 'query' in cloudwatch ? cloudwatch.query : cloudwatch.series.map(({ legend }) => legend);
}

function expectNoOverlap(places: readonly { x: number; y: number; width: number; height: number }[]): void {
  const taken = new Set<string>();
  for (const { x, y, width, height } of places) {
    expect(x + width).to.be.at.most(24);
    for (let column = x; column < x + width; column += 1) {
      for (let row = y; row < y + height; row += 1) {
        const cell = `${column},${row}`;
        expect(taken.has(cell), cell).to.equal(false);
        taken.add(cell);
      }
    }
  }
}

/** CloudFormation's own tags are of no interest here. */
function template(file: string): Document {
  const document = parseDocument(readFileSync(file, 'utf8'), { logLevel: 'silent' });
  visit(document, {
    Node(_, node) {
      if (isScalar(node) && node.tag?.startsWith('!')) node.tag = 'tag:yaml.org,2002:str';
    },
  });
  return document;
}
