import { expect } from 'chai';
import { z } from 'zod';
import {
  boolean,
  date,
  datetime,
  decimal,
  email,
  integer,
  number,
  text,
} from '../../../tools/package/service/fields.ts';

const types = { text, integer, number, decimal, boolean, date, datetime, email };

const cases: Readonly<Record<keyof typeof types, { right: readonly unknown[]; wrong: readonly unknown[] }>> = {
  text: { right: ['', 'é', '日本', 'x'.repeat(255)], wrong: ['x'.repeat(256), '\ud800', 1, null] },
  integer: { right: [0, -1, 9_007_199_254_740_991], wrong: [1.5, 9_007_199_254_740_992, '1'] },
  number: { right: [0.1, -1e300, 5e-324], wrong: ['1', Number.NaN, Number.POSITIVE_INFINITY] },
  decimal: {
    right: ['0.00', '-12.50', '999999999999999.99'],
    wrong: ['12.5', '-0.00', '01.00', '1e2', 12.5, '1000000000000000.00'],
  },
  boolean: { right: [true, false], wrong: [0, 'true'] },
  date: {
    right: ['1000-01-01', '2000-02-29', '2400-02-29', '9999-12-31'],
    wrong: ['1900-02-29', '2023-02-29', '0999-12-31', '2026-04-31', '2026-13-01', '2026-1-1', '2026-01-01T00:00:00Z'],
  },
  datetime: {
    right: ['2024-02-29T23:59:59.999Z', '1000-01-01T00:00:00.000Z'],
    wrong: [
      '2023-02-29T00:00:00.000Z',
      '2026-01-01T00:00:00Z',
      '2026-01-01T24:00:00.000Z',
      '2026-01-01T00:00:00.000+01:00',
    ],
  },
  email: {
    right: ['ann@example.com', "o'neill+x@a-b.example.org", `${'a'.repeat(64)}@example.com`],
    wrong: [
      'ann',
      'ann@example',
      '.ann@example.com',
      'a..b@example.com',
      `${'a'.repeat(65)}@example.com`,
      'ä@example.com',
      'ann@-a.com',
    ],
  },
};

describe('the fields of generated services', () => {
  for (const [name, { right, wrong }] of Object.entries(cases)) {
    const type = types[name as keyof typeof types]();
    it(`of type ${name} accept its values and its example, and refuse all others`, () => {
      const { examples = [] } = z.globalRegistry.get(type) ?? {};
      const results = (values: readonly unknown[]) => values.map((value) => type.safeParse(value).success);
      expect(results([...right, ...(Array.isArray(examples) ? examples : [])])).not.to.contain(false);
      expect(results(wrong)).not.to.contain(true);
    });
  }

  it('accept each day from 1000 to 3000 that the calendar has', () => {
    const days = date();
    const wrong: string[] = [];
    for (let day = Date.UTC(1000, 0, 1); day < Date.UTC(3000, 0, 1); day += 86_400_000) {
      const text = new Date(day).toISOString().slice(0, 10);
      if (!days.safeParse(text).success) wrong.push(text);
    }
    expect(wrong).to.deep.equal([]);
  });
});
