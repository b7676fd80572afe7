import { expect } from 'chai';
import fc from 'fast-check';
import { birthDateProblem, daysUntilBirthday, greeting, today } from '../../src/users/birthday.ts';

/** Counts forward one day at a time in JavaScript's calendar until the birthday. */
function daysByWalking(birthDate: string, from: string): number {
  const day = new Date(`${from}T00:00:00Z`);
  for (let days = 0; ; days += 1) {
    const text = day.toISOString().slice(5, 10);
    const common = new Date(Date.UTC(day.getUTCFullYear(), 1, 29)).getUTCMonth() !== 1;
    const celebrated = birthDate.slice(5) === '02-29' && common ? '03-01' : birthDate.slice(5);
    if (text === celebrated) return days;
    day.setUTCDate(day.getUTCDate() + 1);
  }
}

const dates = fc
  .date({ min: new Date('1000-01-01T00:00:00Z'), max: new Date('2400-12-31T00:00:00Z'), noInvalidDate: true })
  .map((date) => date.toISOString().slice(0, 10));

describe('daysUntilBirthday', () => {
  it('is 0 on the day itself', () => {
    expect(daysUntilBirthday('1990-07-14', '2026-07-14')).to.equal(0);
  });

  it('is 1 on the day before', () => {
    expect(daysUntilBirthday('1990-07-14', '2026-07-13')).to.equal(1);
  });

  it('is one year minus one day on the day after', () => {
    expect(daysUntilBirthday('1990-07-14', '2026-07-15')).to.equal(364);
  });

  it('counts across the end of the year', () => {
    expect(daysUntilBirthday('1990-01-01', '2026-12-31')).to.equal(1);
  });

  it('counts 29 February in leap years', () => {
    expect(daysUntilBirthday('1990-03-01', '2028-02-28')).to.equal(2);
  });

  it('is 0 on 29 February of a leap year for a person born on that day', () => {
    expect(daysUntilBirthday('2000-02-29', '2028-02-29')).to.equal(0);
  });

  it('is 0 on 1 March of a common year for a person born on 29 February', () => {
    expect(daysUntilBirthday('2000-02-29', '2027-03-01')).to.equal(0);
  });

  it('is not 0 on 28 February of a common year for a person born on 29 February', () => {
    expect(daysUntilBirthday('2000-02-29', '2027-02-28')).to.equal(1);
  });

  it('follows the Gregorian rule for centuries: 2100 has no 29 February', () => {
    expect(daysUntilBirthday('2000-02-29', '2100-03-01')).to.equal(0);
  });

  it('agrees with counting one day at a time', () => {
    fc.assert(
      fc.property(dates, dates, (birthDate, from) => {
        expect(daysUntilBirthday(birthDate, from)).to.equal(daysByWalking(birthDate, from));
      }),
      { numRuns: 500 },
    );
  });

  it('agrees with counting for people born on 29 February', () => {
    fc.assert(
      fc.property(dates, (from) => {
        expect(daysUntilBirthday('1996-02-29', from)).to.equal(daysByWalking('1996-02-29', from));
      }),
      { numRuns: 200 },
    );
  });
});

describe('birthDateProblem', () => {
  const onDate = '2026-11-24';

  it('accepts yesterday', () => {
    expect(birthDateProblem('2026-11-23', onDate)).to.equal(undefined);
  });

  it('refuses today', () => {
    expect(birthDateProblem('2026-11-24', onDate)).to.equal('must be before today (UTC)');
  });

  it('refuses a day in the future', () => {
    expect(birthDateProblem('2027-01-01', onDate)).to.equal('must be before today (UTC)');
  });

  it('accepts the earliest date that MySQL supports', () => {
    expect(birthDateProblem('1000-01-01', onDate)).to.equal(undefined);
  });

  it('refuses the day before the earliest date that MySQL supports', () => {
    expect(birthDateProblem('0999-12-31', onDate)).to.equal('must not be before 1000-01-01');
  });

  for (const text of [
    '2000-2-9',
    '29.02.2000',
    '2000-02-29T00:00:00Z',
    ' 2000-02-29',
    '20000-01-01',
    '-200-01-01',
    '',
  ]) {
    it(`refuses ${JSON.stringify(text)}, which is not written YYYY-MM-DD`, () => {
      expect(birthDateProblem(text, onDate)).to.match(/^must be a date written YYYY-MM-DD/);
    });
  }

  for (const text of ['1904-02-29', '2000-02-29', '2024-02-29', '1600-02-29']) {
    it(`takes ${text}, of a leap year`, () => {
      expect(birthDateProblem(text, onDate)).to.equal(undefined);
    });
  }

  for (const text of ['2001-02-29', '1900-02-29', '2000-04-31', '2000-01-00', '2000-01-32']) {
    it(`refuses ${text}, a day that does not exist`, () => {
      expect(birthDateProblem(text, onDate)).to.equal('must be a day that exists in that month of that year');
    });
  }

  for (const text of ['2000-00-10', '2000-13-10']) {
    it(`refuses ${text}, a month that does not exist`, () => {
      expect(birthDateProblem(text, onDate)).to.equal('must have a month from 01 to 12');
    });
  }

  it('accepts exactly the dates of the calendar that are in range', () => {
    const digits = (length: number, max: number) =>
      fc.integer({ min: 0, max }).map((n) => String(n).padStart(length, '0'));
    fc.assert(
      fc.property(digits(4, 2400), digits(2, 13), digits(2, 32), (year, month, day) => {
        const text = `${year}-${month}-${day}`;
        const date = new Date(`${text}T00:00:00Z`);
        const exists = !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
        const right = exists && text >= '1000-01-01' && text < onDate;
        expect(birthDateProblem(text, onDate) === undefined).to.equal(right);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('today', () => {
  it('is the UTC date in every time zone of the machine', () => {
    expect(today(() => new Date('2026-12-31T23:59:59.999Z'))).to.equal('2026-12-31');
    expect(today(() => new Date('2027-01-01T00:00:00.000Z'))).to.equal('2027-01-01');
  });
});

describe('greeting', () => {
  it('congratulates on the day', () => {
    expect(greeting('ann', '2000-11-24', '2026-11-24')).to.equal('Hello, ann! Happy birthday!');
  });

  it('has the number of days on other days', () => {
    expect(greeting('ann', '2000-11-29', '2026-11-24')).to.equal('Hello, ann! Your birthday is in 5 day(s)');
  });
});
