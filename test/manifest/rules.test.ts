import { expect } from 'chai';
import { read, refusal, webService } from '../k8s/workload.ts';
import { accepted, refused } from './examples.ts';

describe("Copilot's rules", () => {
  for (const [text, message] of refused) {
    it(`refuse ${text.split('\n').slice(1).join(' | ')}`, () => {
      expect(refusal(text)).to.contain(message);
    });
  }

  for (const text of accepted) {
    it(`accept ${text.split('\n').slice(1).join(' | ')}`, () => {
      expect(() => read(text)).not.to.throw();
    });
  }

  it('point to the line of the field that breaks them', () => {
    expect(refusal(webService('cpu: 256', 'count:', '  range: 1-2'))).to.match(/^manifest.yml:7: /);
  });

  it('are applied to what an environment makes of the manifest', () => {
    const text =
      'name: api\ntype: Load Balanced Web Service\nhttp: { path: / }\nenvironments: { test: { image: { location: x, port: 80 } } }';
    expect(() => read(text)).not.to.throw();
  });
});
