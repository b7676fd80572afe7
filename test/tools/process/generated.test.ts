import { expect } from 'chai';
import { EVERY_TYPE, GeneratedService, projectOf } from '../new/generated.ts';

describe('a generated service on a private database', function () {
  this.timeout(120_000);
  for (const [title, fields] of Object.entries({
    'one field': ['total:decimal'],
    'a field of every type': EVERY_TYPE,
  })) {
    it(`passes its tests over HTTP, with ${title}`, () => {
      const service = new GeneratedService(projectOf('orders', 'order', fields));
      try {
        const { status, output } = service.plusone('dev', '--run', "mocha 'test/integration/**/*.test.ts'");
        expect(status, output).to.equal(0);
        expect(output).to.match(/\d+ passing/);
      } finally {
        service.remove();
      }
    });
  }
});
