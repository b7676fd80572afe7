import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { localRoutes, podsService, routerConfiguration, untilReached } from '../../local-kind/router.ts';
import { workloadOf } from '../k8s/workload.ts';

const route = (path: string, service: string, host?: string) => ({ host, path, service, port: 80 });

/** The locations of the server of that name, in order, without those of the router itself. */
function locations(configuration: string, server: string): string[] {
  const [, body = ''] = new RegExp(`server_name ${server};\n([^]*?)\n {2}}`).exec(configuration) ?? [];
  return [...body.matchAll(/location (\S+ ?\S*) \{ proxy_pass http:\/\/(\w+)_80;/g)]
    .filter(([, where]) => !where?.includes('/_plusone/'))
    .map(([, where = '', to]) => `${where.replaceAll('"', '')} ${to}`);
}

describe('localRoutes', () => {
  it('gives a workload whose path is taken its name as a host, because it has a domain of its own on AWS', () => {
    const served = (name: string, ...lines: string[]) =>
      workloadOf([`name: ${name}`, 'image: { location: x, port: 80 }', ...lines].join('\n'));
    const workloads = [
      served('first', 'type: Request-Driven Web Service'),
      served('second', 'type: Request-Driven Web Service'),
      served('web', 'type: Load Balanced Web Service', 'http: { path: api }'),
    ];
    expect(localRoutes(workloads)).to.deep.equal([
      { host: undefined, path: '/api', service: 'web', port: 80 },
      { host: undefined, path: '/', service: 'first', port: 80 },
      { host: 'second', path: '/', service: 'second', port: 80 },
    ]);
  });
});

describe('routerConfiguration', () => {
  it('matches a path and what is below it, not what only begins alike', () => {
    expect(locations(routerConfiguration([route('/api', 'api')], 'shop', '10.96.0.10'), '_')).to.deep.equal([
      '= /api api',
      '/api/ api',
    ]);
  });

  it('sends paths without a rule to the service of /', () => {
    expect(locations(routerConfiguration([route('/', 'home')], 'shop', '10.96.0.10'), '_')).to.deep.equal(['/ home']);
  });

  it('has one location for paths that differ only in a final slash, as nginx refuses a second one', () => {
    const routes = [route('/api', 'api', 'a.example.com'), route('/api/', 'other', 'b.example.com')];
    expect(locations(routerConfiguration(routes, 'shop', '10.96.0.10'), '_')).to.deep.equal([
      '= /api api',
      '/api/ api',
    ]);
  });

  it('keeps what a path has from being read as configuration', () => {
    expect(routerConfiguration([route('/a;"b{', 'api')], 'shop', '10.96.0.10')).to.contain(
      'location = "/a;\\"b{" { proxy_pass',
    );
  });

  it('answers 404 without a matching route', () => {
    expect(routerConfiguration([route('/api', 'api')], 'shop', '10.96.0.10')).to.contain(
      "location / { return 404 'no route",
    );
  });

  it('distinguishes hosts, each with a name below localhost, and serves all of them at localhost', () => {
    const configuration = routerConfiguration(
      [route('/', 'blog', 'blog.example.com'), route('/', 'home')],
      'shop',
      '10.96.0.10',
    );
    expect(locations(configuration, 'blog.example.com blog.example.com.localhost')).to.deep.equal(['/ blog']);
    expect(locations(configuration, '_')).to.deep.equal(['/ home']);
  });

  it('resolves names by the address of the DNS server, so that nginx starts before that answers', () => {
    expect(routerConfiguration([route('/', 'home')], 'shop', '10.96.0.10')).to.match(/^ {2}resolver 10\.96\.0\.10 /m);
  });

  it('keeps connections to the pods that are ready now, which are asked for again and again', () => {
    const configuration = routerConfiguration([route('/', 'home'), route('/api', 'home')], 'shop', '10.96.0.10');
    expect(configuration.match(/upstream /g)).to.have.length(1);
    expect(configuration)
      .to.match(/server pods-\w+\.shop\.svc\.cluster\.local:80 resolve /)
      .and.match(/ keepalive \d+;/)
      .and.match(/ valid=1s;/);
  });

  it('ends an idle connection before the usual servers do', () => {
    const [, seconds] =
      /keepalive_timeout (\d+)s/.exec(routerConfiguration([route('/', 'home')], 'shop', '10.96.0.10')) ?? [];
    // gunicorn closes after 2 s, Node after 5: https://docs.gunicorn.org/en/stable/settings.html#keepalive
    expect(Number(seconds)).to.be.lessThan(2);
  });
});

describe('podsService', () => {
  it('has a name with the addresses of the pods of a Service', () => {
    const labels = { 'app.kubernetes.io/managed-by': 'cdk8s' };
    const ports = [{ port: 80, targetPort: 80 }];
    const spec = { type: 'NodePort', selector: { app: 'home' }, ports };
    const service = podsService({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'home', labels }, spec });
    expect(service.metadata.labels).to.deep.equal(labels);
    expect(service.spec).to.deep.equal({ selector: { app: 'home' }, ports, clusterIP: 'None' });
    const configuration = routerConfiguration([route('/', 'home')], 'shop', '10.96.0.10');
    expect(configuration).to.contain(`server ${service.metadata.name}.shop.`);
  });

  it('has a name that Kubernetes allows, also for the longest name of a workload', () => {
    const longest = 'a'.repeat(63);
    const service = podsService({ kind: 'Service', metadata: { name: longest } });
    expect(service.metadata.name)
      .to.match(/^[a-z][-a-z0-9]{0,61}[a-z0-9]$/)
      .and.not.equal(longest);
  });
});

describe('untilReached', () => {
  let server: Server;
  let asked: string[];
  let answer: (path: string) => [status: number, body: string];
  let url: string;

  beforeEach(async () => {
    asked = [];
    server = createServer(({ url: path = '' }, response) => {
      asked.push(path);
      const [status, body] = answer(path);
      response.statusCode = status;
      response.end(body);
    }).listen(0);
    await once(server, 'listening');
    url = `http://localhost:${(server.address() as AddressInfo).port}`;
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  const noPod: [number, string] = [503, 'no pod of this service answers\n'];

  it('waits until the router has found the pods of each service', async () => {
    answer = (path) => (path.includes('api') && asked.length < 5 ? noPod : [404, 'not found']);
    expect(await untilReached(url, [route('/', 'home'), route('/api', 'api')])).to.deep.equal([]);
    expect(asked.filter((path) => path.includes('home'))).to.have.length(1);
    expect(asked.filter((path) => path.includes('api'))).to.have.length(4);
  });

  it('asks once for a service with several paths', async () => {
    answer = () => [200, ''];
    await untilReached(url, [route('/', 'home'), route('/shop', 'home')]);
    expect(asked).to.have.length(1);
  });

  it('gives back the routes that reach nothing in time', async () => {
    answer = () => noPod;
    const routes = [route('/', 'home')];
    expect(await untilReached(url, routes, 0.3)).to.deep.equal(routes);
  });

  it('takes an answer of the service itself for one, whatever it is', async () => {
    answer = () => [503, 'maintenance'];
    expect(await untilReached(url, [route('/', 'home')], 0.3)).to.deep.equal([]);
  });

  it('asks at a path that the configuration leads to the service', async () => {
    answer = () => [200, ''];
    await untilReached(url, [route('/', 'home')]);
    expect(routerConfiguration([route('/', 'home')], 'shop', '10.96.0.10')).to.contain(
      `location = ${asked[0]} { proxy_pass http://home_80; }`,
    );
  });
});
