import { expect } from 'chai';
import { EVERY_TYPE, GeneratedService, projectOf } from '../new/generated.ts';

describe('a generated service on a private database', function () {
  this.timeout(120_000);
  for (const [title, fields] of Object.entries({
    'one field': ['total:decimal'],
    'a field of every type': EVERY_TYPE,
  })) {
    it(`passes its tests over HTTP, with ${title} and a resource that was added`, () => {
      const service = new GeneratedService(projectOf('orders', 'order', fields));
      try {
        expect(service.plusone('add', 'resource', 'customer', '--field', 'contact:email').status).to.equal(0);
        const { status, output } = service.plusone('dev', '--run', "mocha 'test/integration/**/*.test.ts'");
        expect(status, output).to.equal(0);
        expect(output).to.contain('orders over HTTP').and.to.contain('customers over HTTP');
      } finally {
        service.remove();
      }
    });
  }
});
