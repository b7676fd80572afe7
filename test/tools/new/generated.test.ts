import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { resourceName, serviceName } from '../../../tools/new/names.ts';
import { EVERY_TYPE, GeneratedService, projectOf } from './generated.ts';

const MOST_FILES = 60;
const MOST_LINES = 2_500;

const services = {
  'one field': projectOf('orders', 'order', ['total:decimal']),
  'a field of every type': projectOf('stock', 'box', EVERY_TYPE, 8080),
  'hyphens in its name': projectOf('my-second-shop', 'city', ['label:text:optional']),
  'the shortest names': projectOf(serviceName('a'), resourceName('b'), ['c:text']),
  'the longest names': projectOf(serviceName('s'.repeat(40)), resourceName('r'.repeat(20)), [`${'f'.repeat(30)}:text`]),
};

for (const [title, project] of Object.entries(services)) {
  describe(`a generated service with ${title}`, function () {
    this.timeout(60_000);
    let service: GeneratedService;
    before(() => {
      service = new GeneratedService(project);
    });
    after(() => service?.remove());

    it('has at most 60 files and 2,500 lines', () => {
      const lines = [...service.files.values()].reduce((sum, text) => sum + text.split('\n').length - 1, 0);
      expect(service.files.size).to.be.at.most(MOST_FILES);
      expect(lines).to.be.at.most(MOST_LINES);
    });

    it('has no word of the template or of the birthday service', () => {
      const wrong = [...service.files].flatMap(([path, text]) =>
        `${path}\n${text}`
          .split('\n')
          .filter((line) =>
            /widget|birth|hello|plusone/i.test(
              line.replace(
                /plusone-service|vendor\/plusone|"plusone"|`plusone[ `]|plusone\.(env|json)|\bplusone (alarms|dev|check|up|down|logs|status|add|upgrade)\b/g,
                '',
              ),
            ),
          )
          .map((line) => `${path}: ${line}`),
      );
      expect(wrong).to.deep.equal([]);
    });

    it('has correct types, lint and format', () => {
      expect(service.run('tsc', '--noEmit')).to.deep.equal({ status: 0, output: '' });
      const biome = service.run('biome', 'check', '--error-on-warnings', '.');
      expect(biome.status, biome.output).to.equal(0);
    });

    it('has manifests that Copilot accepts', () => {
      expect(service.plusone('check', '--strict')).to.deep.equal({ status: 0, output: 'nothing found\n' });
    });

    it('passes its own unit tests', () => {
      const { status, output } = service.run('mocha', '--ignore', 'test/integration/**', 'test/**/*.test.ts');
      expect(status, output).to.equal(0);
    });
  });
}

describe('the template', () => {
  it('has the versions of this repository', () => {
    const read = (path: string) => JSON.parse(readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8'));
    const root = read('package.json');
    const all = { ...root.devDependencies, ...root.dependencies };
    const { dependencies, devDependencies } = read('tools/new/template/package.json.template');
    const other = Object.entries({ ...dependencies, ...devDependencies }).filter(
      ([name, range]) => !/^plusone/.test(name) && all[name] !== range,
    );
    expect(other).to.deep.equal([]);
  });
});
