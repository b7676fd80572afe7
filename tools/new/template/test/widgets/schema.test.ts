import { expect } from 'chai';
import { widgetSchema as schema } from '../../src/widgets/schema.ts';
import { sampleOf } from '../sample.ts';

describe('the fields of widgets', () => {
  it('accept their own examples', () => {
    const sample = sampleOf(schema);
    expect(schema.parse(sample)).to.deep.equal(sample);
  });

  it('refuse a field that is not known', () => {
    const { success } = schema.safeParse({ ...sampleOf(schema), unknownField: 1 });
    expect(success).to.equal(false);
  });

  for (const [name, type] of Object.entries(schema.shape)) {
    it(`${type.safeParse(undefined).success ? 'accept' : 'refuse'} a body without ${name}`, () => {
      const { [name]: _, ...others } = sampleOf(schema);
      expect(schema.safeParse(others).success).to.equal(type.safeParse(undefined).success);
    });
  }
});
