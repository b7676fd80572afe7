import { expect } from 'chai';
import { routerConfiguration } from '../../local-kind/router.ts';

const route = (path: string, service: string, host?: string) => ({ host, path, service, port: 80 });

/** The locations of the server of that name, in order. */
function locations(configuration: string, server: string): string[] {
  const [, body = ''] = new RegExp(`server_name ${server};\n([^]*?)\n {2}}`).exec(configuration) ?? [];
  return [...body.matchAll(/location (\S+ ?\S*) \{ set \$target http:\/\/(\w+)/g)].map(
    ([, where, to]) => `${where} ${to}`,
  );
}

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

  it('leads to the Services of the application', () => {
    expect(routerConfiguration([route('/', 'home')], 'shop', '10.96.0.10')).to.contain(
      'http://home.shop.svc.cluster.local:80',
    );
  });
});
