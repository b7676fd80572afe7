import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { findChromium } from '../../../tools/doctor/machine.ts';
import { skipWithout } from '../../skip.ts';
import { EVERY_TYPE, GeneratedService, projectOf } from '../new/generated.ts';

const PAGE = fileURLToPath(new URL('./generated-page.ts', import.meta.url));

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

  it('shows the version of its package.json', () => {
    const service = new GeneratedService(projectOf('orders', 'order', ['total:decimal']));
    try {
      const path = join(service.folder, 'package.json');
      writeFileSync(path, readFileSync(path, 'utf8').replace('"version": "1.0.0"', '"version": "2.3.4"'));
      const { status, output } = service.plusone('dev', '--run', 'curl -sSf $BASE_URL/openapi.json');
      expect(status, output).to.equal(0);
      expect(output).to.contain('"title":"orders","version":"2.3.4"');
    } finally {
      service.remove();
    }
  });

  it('has a page that saves, explains errors, lists page by page, and deletes', function () {
    if (findChromium() === undefined) skipWithout(this, 'chromium', 'there is no Chromium');
    const service = new GeneratedService(projectOf('stock', 'box', EVERY_TYPE));
    try {
      const { status, output } = service.plusone('dev', '--run', `node ${PAGE}`);
      expect(status, output).to.equal(0);
    } finally {
      service.remove();
    }
  });
});
