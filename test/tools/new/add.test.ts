import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { hashOf } from '../../../tools/new/project.ts';
import { GeneratedService, projectOf } from './generated.ts';

describe('plusone add resource', function () {
  this.timeout(60_000);
  let service: GeneratedService;
  beforeEach(() => {
    service = new GeneratedService(projectOf('orders', 'order', ['total:decimal']));
  });
  afterEach(() => service?.remove());

  const read = (path: string) => readFileSync(join(service.folder, path), 'utf8');
  const edit = (path: string, change: (text: string) => string) =>
    writeFileSync(join(service.folder, path), change(read(path)));
  const add = (...args: string[]) => service.plusone('add', 'resource', ...args);

  it('adds resources that type-check, and have tests', () => {
    for (const args of [
      ['customer', '--field', 'contact:email'],
      ['address'],
      ['zone', '-f', 'isOpen:boolean:optional'],
    ])
      expect(add(...args).status, args.join(' ')).to.equal(0);
    expect(service.run('tsc', '--noEmit')).to.deep.equal({ status: 0, output: '' });
    const biome = service.run('biome', 'check', '--error-on-warnings', '.');
    expect(biome.status, biome.output).to.equal(0);
    const { status, output } = service.run('mocha', '--ignore', 'test/integration/**', 'test/**/*.test.ts');
    expect(status, output).to.equal(0);
    for (const name of ['customers', 'addresses', 'zones', 'orders']) expect(output).to.contain(`fields of ${name}`);
  });

  it('does nothing when it is repeated', () => {
    add('customer');
    const before = ['plusone.json', 'src/resources.ts', 'src/migrations/index.ts'].map(read);
    edit('src/customers/schema.ts', (text) => `${text}// mine\n`);
    const { status, output } = add('customer');
    expect([status, output]).to.deep.equal([0, 'the service has the resource customer already; nothing changed\n']);
    expect(['plusone.json', 'src/resources.ts', 'src/migrations/index.ts'].map(read)).to.deep.equal(before);
    expect(read('src/customers/schema.ts')).to.contain('// mine');
  });

  it('keeps what was edited in the lists', () => {
    edit('src/resources.ts', (text) => `// mine\n${text}`);
    add('customer');
    expect(read('src/resources.ts')).to.contain('// mine').and.to.contain('[orders, customers]');
  });

  it('says what to do by hand where a list has another form', () => {
    edit('src/resources.ts', () => 'export const RESOURCES = makeThem();\n');
    const { status, output } = add('customer');
    expect(status).to.equal(1);
    expect(output).to.contain('src/resources.ts has no list').and.to.contain('add customers to it by hand');
  });

  it('refuses a resource that is there with other fields, or whose files are there', () => {
    expect(add('order', '--field', 'note:text').output).to.contain(
      'has the resource order already, with total:decimal',
    );
    add('customer');
    edit('plusone.json', (text) => text.replace(/,\s*\{\s*"name": "customer"[^}]*\}/, ''));
    edit('src/customers/schema.ts', (text) => `${text}// mine\n`);
    const { status, output } = add('customer');
    expect([status, output]).to.deep.equal([
      69,
      'src/customers/schema.ts is there already; move it away, or choose another name for the resource\n',
    ]);
  });

  for (const statement of [
    'await knex.raw(`CREATE TABLE IF NOT EXISTS invoices (id INT)`);',
    "await knex.schema.createTable('invoices', (table) => table.increments());",
  ])
    it(`refuses a resource whose table a migration of the owner has made: ${statement.slice(0, 30)}`, () => {
      writeFileSync(join(service.folder, 'src/migrations/20270101000000_invoices.ts'), statement);
      const { status, output } = add('invoice');
      expect([status, output]).to.deep.equal([
        69,
        'src/migrations/20270101000000_invoices.ts creates a table invoices already; choose another name for the resource\n',
      ]);
      expect(add('voice').status).to.equal(0);
    });

  it('works from a folder below', () => {
    const program = fileURLToPath(new URL('../../../tools/cli.ts', import.meta.url));
    const args = [program, 'add', 'resource', 'customer'];
    const { status, stderr } = spawnSync(process.execPath, args, {
      cwd: join(service.folder, 'src'),
      encoding: 'utf8',
    });
    expect(status, stderr).to.equal(0);
    expect(read('src/customers/schema.ts')).to.contain('label: text()');
  });

  it('refuses a name with a capital letter, by what its usage calls it', () => {
    expect(add('Customer').output).to.contain('NAME "Customer": expected one word of small letters');
  });
});

describe('plusone upgrade', () => {
  let service: GeneratedService;
  beforeEach(() => {
    service = new GeneratedService(projectOf('orders', 'order', ['total:decimal']));
  });
  afterEach(() => service?.remove());

  const path = (name: string) => join(service.folder, name);
  const read = (name: string) => readFileSync(path(name), 'utf8');

  /** As if an older template had written the file with this text. */
  function wasWrittenAs(name: string, text: string): void {
    const now = hashOf(read(name));
    writeFileSync(path(name), text);
    writeFileSync(path('plusone.json'), read('plusone.json').replace(now, hashOf(text)));
  }

  it('changes nothing where nothing changed, edits included', () => {
    writeFileSync(path('src/orders/schema.ts'), `${read('src/orders/schema.ts')}// mine\n`);
    const before = read('plusone.json');
    const { status, output } = service.plusone('upgrade');
    expect([status, output]).to.deep.equal([0, 'the service is of version 1.0.0\nno file of the template changed\n']);
    expect(read('plusone.json')).to.equal(before);
  });

  it('replaces a file that nobody edited, and only once', () => {
    const current = read('Dockerfile');
    wasWrittenAs('Dockerfile', 'FROM node:22\n');
    expect(service.plusone('upgrade').output).to.contain('wrote Dockerfile');
    expect(read('Dockerfile')).to.equal(current);
    expect(service.plusone('upgrade').output).to.contain('no file of the template changed');
  });

  it('keeps a file that was edited, and shows what the template has', () => {
    wasWrittenAs('Dockerfile', 'FROM node:22\n');
    writeFileSync(path('Dockerfile'), 'FROM node:22\n# mine\n');
    for (const _ of ['once', 'again']) {
      const { status, output } = service.plusone('upgrade');
      expect(status).to.equal(0);
      expect(output).to.contain('Dockerfile was edited, and the edits stay').and.to.contain('\n-# mine\n');
      expect(read('Dockerfile')).to.equal('FROM node:22\n# mine\n');
    }
  });

  it('does not bring back a file that was deleted', () => {
    rmSync(path('.editorconfig'));
    expect(service.plusone('upgrade').output).to.contain('no file of the template changed');
    expect(() => read('.editorconfig')).to.throw('ENOENT');
  });

  it('refuses a service that a newer version wrote, and changes nothing', () => {
    writeFileSync(path('plusone.json'), read('plusone.json').replace('"version": "1.0.0"', '"version": "1.10.0"'));
    const before = read('package.json');
    const { status, output } = service.plusone('upgrade');
    expect(status).to.equal(69);
    expect(output).to.contain('the service is of version 1.10.0, and this is plusone 1.0.0');
    expect(read('package.json')).to.equal(before);
  });

  it('refuses a folder that plusone new did not write', () => {
    rmSync(path('plusone.json'));
    const { status, output } = service.plusone('upgrade');
    expect([status, output.includes('there is no plusone.json')]).to.deep.equal([69, true]);
  });
});
