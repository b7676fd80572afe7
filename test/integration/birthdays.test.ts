import { expect } from 'chai';
import { ask, jsonOf } from './contract.ts';
import { newName, START_MILLISECONDS, serviceUnderTest, utcDate } from './service.ts';

const put = (name: string, dateOfBirth: unknown) => ask('PUT', `/hello/${name}`, { json: { dateOfBirth } });
const get = (name: string) => ask('GET', `/hello/${name}`);
const remove = (name: string) => ask('DELETE', `/hello/${name}`);

/** Counts forward from today, one day at a time: another algorithm than the service's. */
function daysUntil(dateOfBirth: string, today: string): number {
  const day = new Date(`${today}T00:00:00Z`);
  for (let days = 0; ; days++) {
    const date = day.toISOString().slice(5, 10);
    const isCommonYear = new Date(Date.UTC(day.getUTCFullYear(), 1, 29)).getUTCMonth() === 2;
    const born = dateOfBirth.slice(5);
    if (date === born || (born === '02-29' && isCommonYear && date === '03-01')) return days;
    day.setUTCDate(day.getUTCDate() + 1);
  }
}

describe('a birthday over HTTP', () => {
  before(async function () {
    this.timeout(START_MILLISECONDS);
    await serviceUnderTest();
  });

  it('is saved, read, replaced and deleted', async () => {
    const name = newName();
    expect((await get(name)).status).to.equal(404);
    expect((await put(name, '1990-06-15')).status).to.equal(204);
    const first = jsonOf(await get(name)).message;
    expect((await put(name, '1990-06-14')).status).to.equal(204);
    expect(jsonOf(await get(name)).message).not.to.equal(first);
    expect((await remove(name)).status).to.equal(204);
    expect((await get(name)).status).to.equal(404);
  });

  it('can be saved twice without harm and deleted once', async () => {
    const name = newName();
    expect([(await put(name, '1990-06-15')).status, (await put(name, '1990-06-15')).status]).to.deep.equal([204, 204]);
    expect([(await remove(name)).status, (await remove(name)).status]).to.deep.equal([204, 404]);
  });

  it('belongs to the exact name, including its case', async () => {
    const name = newName();
    const other = name.toUpperCase();
    await put(name, '1990-06-15');
    expect((await get(other)).status).to.equal(404);
    expect((await remove(other)).status).to.equal(404);
    expect((await get(name)).status).to.equal(200);
  });

  it('greets the name as requested', async () => {
    const name = newName();
    await put(name, '1990-06-15');
    expect(jsonOf(await get(name)).message).to.match(new RegExp(`^Hello, ${name}! `));
  });

  it('congratulates on the day', async () => {
    const name = newName();
    await put(name, `1980${(await utcDate()).slice(4)}`);
    expect(jsonOf(await get(name)).message).to.equal(`Hello, ${name}! Happy birthday!`);
  });

  it('is one day away on the day before', async () => {
    const name = newName();
    await put(name, `1980${(await utcDate(1)).slice(4)}`);
    expect(jsonOf(await get(name)).message).to.equal(`Hello, ${name}! Your birthday is in 1 day(s)`);
  });

  const accepted = [
    '1000-01-01',
    '1582-10-10',
    '1900-02-28',
    '1904-02-29',
    '1999-12-31',
    '2000-01-01',
    '2000-02-29',
    '2000-03-01',
    '2016-02-29',
    'yesterday',
  ];
  for (const date of accepted) {
    it(`accepts ${date} and counts the days to it`, async () => {
      const name = newName();
      const today = await utcDate();
      const dateOfBirth = date === 'yesterday' ? await utcDate(-1) : date;
      expect((await put(name, dateOfBirth)).status).to.equal(204);
      const days = daysUntil(dateOfBirth, today);
      const wish = days === 0 ? 'Happy birthday!' : `Your birthday is in ${days} day(s)`;
      expect(jsonOf(await get(name)).message).to.equal(`Hello, ${name}! ${wish}`);
    });
  }

  const refused: [what: string, dateOfBirth: unknown][] = [
    ['29 February of a common year', '2001-02-29'],
    ['29 February of 1900, which was none', '1900-02-29'],
    ['30 February', '2000-02-30'],
    ['31 April', '2000-04-31'],
    ['month 13', '2000-13-01'],
    ['month 0', '2000-00-10'],
    ['day 0', '2000-01-00'],
    ['year 0', '0000-01-01'],
    ['a date before 1000', '0999-12-31'],
    ['a year of five digits', '10000-01-01'],
    ['a signed year', '-2000-01-01'],
    ['digits left out', '2000-1-1'],
    ['no dashes', '20000101'],
    ['slashes', '2000/01/01'],
    ['a time of day', '2000-01-01T00:00:00Z'],
    ['a blank before', ' 2000-01-01'],
    ['a line break after', '2000-01-01\n'],
    ['digits of another script', '２０００-01-01'],
    ['words', 'yesterday'],
    ['an empty text', ''],
    ['a number', 20000101],
    ['null', null],
    ['a list', ['2000-01-01']],
    ['an object', { year: 2000 }],
    ['the last date there is', '9999-12-31'],
  ];
  for (const [what, dateOfBirth] of refused) {
    it(`refuses ${what} as a date of birth, and names the field`, async () => {
      const name = newName();
      const answer = await put(name, dateOfBirth);
      expect(answer.status).to.equal(400);
      expect(jsonOf(answer).errors).to.have.nested.property('[0].pointer', '#/dateOfBirth');
      expect((await get(name)).status).to.equal(404);
    });
  }

  it('refuses today and tomorrow as a date of birth', async () => {
    expect((await put(newName(), await utcDate())).status).to.equal(400);
    expect((await put(newName(), await utcDate(1))).status).to.equal(400);
  });

  it('keeps the old date if the new one is refused', async () => {
    const name = newName();
    await put(name, '1990-06-15');
    const before = (await get(name)).text;
    expect((await put(name, '2001-02-29')).status).to.equal(400);
    expect((await get(name)).text).to.equal(before);
  });

  it('never shows the date of birth', async () => {
    const name = newName();
    await put(name, '1987-06-15');
    expect((await get(name)).text).not.to.contain('1987');
    expect((await put(name, '1987-02-31')).text).not.to.contain('1987');
  });
});

describe('a username', () => {
  const refused: [what: string, path: string][] = [
    ['65 letters', 'a'.repeat(65)],
    ['8,000 letters', 'a'.repeat(8_000)],
    ['a digit', 'ann1'],
    ['a dash', 'ann-lee'],
    ['an underscore', '__proto__'],
    ['a dot', 'ann.lee'],
    ['an escaped blank', 'ann%20lee'],
    ['an escaped slash', 'ann%2Flee'],
    ['an escaped line break', 'ann%0A'],
    ['an escaped NUL', 'ann%00'],
    ['a letter with an accent', '%C3%A9va'],
    ['a letter of another script that looks like A', '%CE%91nn'],
    ['nothing at all', ''],
    ['an escape that is none', '%zz'],
    ['half a character', '%C3'],
    ['quotes for SQL', "ann'%20OR%20'1'='1"],
  ];
  for (const [what, path] of refused) {
    it(`is refused with ${what}`, async () => {
      for (const method of ['GET', 'PUT', 'DELETE']) {
        const answer = await ask(
          method,
          `/hello/${path}`,
          method === 'PUT' ? { json: { dateOfBirth: '2000-01-01' } } : {},
        );
        expect([method, answer.status]).to.deep.equal([method, 400]);
      }
    });
  }

  it('may be one letter, and words that JavaScript knows', async () => {
    for (const name of ['q', 'constructor', 'toString', 'hasOwnProperty']) {
      expect((await get(name)).status).to.be.oneOf([200, 404]);
    }
  });

  it('may have unnecessary escapes', async () => {
    const name = newName();
    await put(name, '1990-06-15');
    expect((await get(`%${name.charCodeAt(0).toString(16)}${name.slice(1)}`)).status).to.equal(200);
  });
});

describe('a body', () => {
  const send = (body: string | Uint8Array<ArrayBuffer>, name = newName()) =>
    ask('PUT', `/hello/${name}`, { headers: { 'content-type': 'application/json' }, body });

  const refused: [what: string, body: string][] = [
    ['nothing', ''],
    ['blanks', '  \n '],
    ['half an object', '{"dateOfBirth":"2000-01-01"'],
    ['two objects', '{"dateOfBirth":"2000-01-01"}{}'],
    ['single quotes', "{'dateOfBirth':'2000-01-01'}"],
    ['null', 'null'],
    ['a number', '42'],
    ['a text', '"2000-01-01"'],
    ['a list', '[{"dateOfBirth":"2000-01-01"}]'],
    ['an empty object', '{}'],
    ['another field', '{"birthday":"2000-01-01"}'],
    ['the field in other letters', '{"dateofbirth":"2000-01-01"}'],
    ['one field more', '{"dateOfBirth":"2000-01-01","admin":true}'],
    ['__proto__ beside the field', '{"dateOfBirth":"2000-01-01","__proto__":{"admin":true}}'],
    ['the field in __proto__', '{"__proto__":{"dateOfBirth":"2000-01-01"}}'],
    ['constructor beside the field', '{"dateOfBirth":"2000-01-01","constructor":{"prototype":{}}}'],
    ['5,000 lists in each other', '['.repeat(5_000) + ']'.repeat(5_000)],
  ];
  for (const [what, body] of refused) {
    it(`is refused when it is ${what}`, async () => {
      const name = newName();
      expect((await send(body, name)).status).to.equal(400);
      expect((await get(name)).status).to.equal(404);
    });
  }

  it('is refused when it is not UTF-8', async () => {
    const answer = await send(Uint8Array.from(Buffer.from('{"dateOfBirth":"2000-01-01\xff"}', 'latin1')));
    expect(answer.status).to.equal(400);
  });

  it('is refused with the names of all unknown fields', async () => {
    const answer = await send('{"dateOfBirth":"2000-01-01","a/b":1,"c~d":2}');
    expect(jsonOf(answer).errors).to.deep.include.members([
      { pointer: '#/a~1b', detail: 'is not a field that is known here' },
      { pointer: '#/c~0d', detail: 'is not a field that is known here' },
    ]);
  });

  it('has the last value of a repeated field, as in JSON.parse', async () => {
    const [twice, once] = [newName(), newName()];
    await send('{"dateOfBirth":"1990-01-02","dateOfBirth":"1990-06-15"}', twice);
    await send('{"dateOfBirth":"1990-06-15"}', once);
    expect((await get(twice)).text.replace(twice, once)).to.equal((await get(once)).text);
  });

  it('may have spaces, line breaks and a charset', async () => {
    const answer = await ask('PUT', `/hello/${newName()}`, {
      headers: { 'content-type': 'Application/JSON; charset=utf-8' },
      body: ' {\r\n "dateOfBirth" :\t"2000-01-01" } \n',
    });
    expect(answer.status).to.equal(204);
  });
});

describe('many at once', () => {
  it('read their own writes', async () => {
    const today = await utcDate();
    const one = async () => {
      const name = newName();
      for (let round = 1; round <= 5; round++) {
        const dateOfBirth = `19${60 + round}-0${round}-1${round}`;
        expect((await put(name, dateOfBirth)).status).to.equal(204);
        const days = daysUntil(dateOfBirth, today);
        expect(jsonOf(await get(name)).message).to.match(
          days === 0 ? /Happy birthday!$/ : new RegExp(` in ${days} day\\(s\\)$`),
        );
      }
    };
    await Promise.all(Array.from({ length: 20 }, one));
  });

  it('write one user: the last acknowledged value is read', async () => {
    const name = newName();
    const today = await utcDate();
    const date = (day: number) => `1990-01-${String(day).padStart(2, '0')}`;
    for (let round = 0; round < 3; round++) {
      const writes = await Promise.all(Array.from({ length: 28 }, (_, at) => put(name, date(at + 1))));
      expect(new Set(writes.map(({ status }) => status))).to.deep.equal(new Set([204]));
      expect((await put(name, '1990-06-15')).status).to.equal(204);
      expect(jsonOf(await get(name)).message).to.contain(
        daysUntil('1990-06-15', today) === 0 ? 'Happy birthday!' : ` in ${daysUntil('1990-06-15', today)} day(s)`,
      );
    }
  });

  it('write and delete one user: each succeeds or finds no user', async () => {
    const name = newName();
    const statuses = await Promise.all(
      Array.from({ length: 40 }, async (_, at) =>
        at % 2 === 0 ? (await put(name, '1990-06-15')).status : (await remove(name)).status,
      ),
    );
    expect(statuses.every((status, at) => status === 204 || (at % 2 === 1 && status === 404))).to.equal(true);
    await remove(name);
    expect((await get(name)).status).to.equal(404);
  });
});
