import { expect } from 'chai';
import { UsageError } from '../../../k8s/errors.ts';
import { parseFields } from '../../../tools/new/fields.ts';
import { pluralOf, resourceName, serviceName, singularOf } from '../../../tools/new/names.ts';

/** The message of the UsageError that `work` throws. */
function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  return 'accepted';
}

describe('the name of a new service', () => {
  for (const name of ['orders', 'my-orders', 'a', 'shop2', 'x'.repeat(40)])
    it(`may be ${name}`, () => {
      expect(serviceName(name)).to.equal(name);
    });

  for (const [name, expected] of [
    ['My_Orders', 'such as my-orders'],
    ['-orders', 'such as orders'],
    ['orders-', 'such as orders'],
    ['my--orders', 'such as my-orders'],
    ['1orders', 'such as orders'],
    ['größe', 'such as gro'],
    ['Bücher', 'such as bucher'],
    ['注文', 'expected a DNS label'],
    ['../orders', 'such as orders'],
    ['', 'expected a DNS label'],
    ['x'.repeat(41), 'it has 41 characters; at most 40'],
    ['order', 'reserved word of MySQL and SQL; such as order-service'],
    ['sql-big-result', 'reserved word of MySQL and SQL'],
    ['class', 'reserved word of JavaScript'],
    ['http', 'reserved word of npm'],
    ['environments', 'reserved word of Copilot'],
    ['pipelines', 'reserved word of Copilot'],
    ['knex', 'it depends on the npm package knex'],
  ] as const)
    it(`may not be ${JSON.stringify(name.slice(0, 20))}, and says what would be right`, () => {
      expect(refusal(() => serviceName(name))).to.contain(expected);
    });
});

describe('the name of a resource', () => {
  for (const [name, expected] of [
    ['orders', 'expected the name of one of them, such as order'],
    ['orderLine', 'such as orderline'],
    ['größe', 'expected one word of small letters'],
    ['x'.repeat(21), 'it has 21 characters'],
    ['doc', 'every service has docs of its own'],
    ['migration', 'every service has migrations of its own'],
    ['id', 'every service has ids of its own'],
    ['schema', 'schemas are a reserved word of MySQL and SQL'],
  ] as const)
    it(`may not be ${name.slice(0, 20)}, and says what would be right`, () => {
      expect(refusal(() => resourceName(name))).to.contain(expected);
    });

  for (const [one, many] of [
    ['order', 'orders'],
    ['box', 'boxes'],
    ['city', 'cities'],
    ['day', 'days'],
    ['address', 'addresses'],
  ] as const)
    it(`is ${many} for several of ${one}`, () => {
      expect([pluralOf(one), singularOf(many), resourceName(one)]).to.deep.equal([many, one, one]);
    });
});

describe('the fields of a resource', () => {
  it('have a type, and may be optional', () => {
    expect(parseFields(['total:decimal', 'note', 'dueDate:date:optional'])).to.deep.equal([
      { name: 'total', type: 'decimal', optional: false },
      { name: 'note', type: 'text', optional: false },
      { name: 'dueDate', type: 'date', optional: true },
    ]);
  });

  for (const [fields, expected] of [
    [['total:float'], 'use number, or decimal for money'],
    [['at:timestamp'], 'use datetime: TIMESTAMP of MySQL ends in 2038'],
    [['count:bigint'], 'use integer: JSON has whole numbers'],
    [['data:json'], 'use fields of their own'],
    [['total:desimal'], 'use decimal. The types are text, integer,'],
    [['total:constructor'], 'there is no type "constructor"'],
    [['total:decimal', 'total:text'], 'there are two fields total'],
    [['due_date:date'], 'such as dueDate'],
    [['Total:decimal'], 'such as total'],
    [['größe:text'], 'the name must be letters'],
    [['__proto__:text'], 'the name must be letters'],
    [['id:text'], 'each resource has an id already'],
    [['key:text'], 'key is a reserved word of MySQL and SQL; such as keyValue'],
    [['currentUser:text'], 'currentUser is a reserved word of MySQL and SQL'],
    [['constructor:text'], 'constructor is a reserved word of JavaScript'],
    [['total:decimal:required'], 'expected NAME:TYPE or NAME:TYPE:optional'],
    [[`${'x'.repeat(31)}:text`], 'the name has 31 characters'],
    [Array.from({ length: 41 }, (_, at) => `field${at}`), '41 fields; at most 40'],
  ] as const)
    it(`may not be ${fields.join(' ').slice(0, 40)}, and say what would be right`, () => {
      expect(refusal(() => parseFields(fields))).to.contain(expected);
    });
});
