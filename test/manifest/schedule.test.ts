import { expect } from 'chai';
import { cronJobSchedule, eventBridgeSchedule, scheduleNote } from '../../manifest/schedule.ts';

describe('cronJobSchedule', () => {
  for (const [copilot, kubernetes] of [
    ['@daily', '@daily'],
    ['@every 1h30m', '@every 1h30m'],
    ['*/5 9-17 * * 1-5', '*/5 9-17 * * 1-5'],
    ['0 0 ? *  MON', '0 0 ? *  MON'],
    ['0 0 */2 * *', '0 0 * * *'],
    ['0 9 */2 * 1', '0 9 * * 1'],
    ['0 9 * * */2', '0 9 * * *'],
    ['0 9 * * 1-5/2', '0 9 * * 1-5/3'],
    ['rate(1 minute)', '@every 1m'],
    ['rate(5 minutes)', '@every 5m'],
    ['rate(2 hours)', '@every 2h'],
    ['rate(7 days)', '@every 168h'],
    ['cron(45 23 * * ? *)', '45 23 * * *'],
    ['cron(0 8 1 * ? *)', '0 8 1 * *'],
    ['cron(0 18 ? * MON-FRI *)', '0 18 * * MON-FRI'],
    ['cron(0 18 ? * 2-6 *)', '0 18 * * 1-5'],
    ['cron(0/15 * ? * 1,7 *)', '0/15 * * * 0,6'],
    ['cron(0 0 ? JUL WED *)', '0 0 * JUL WED'],
  ] as const) {
    it(`turns ${copilot} into ${kubernetes}`, () => {
      expect(cronJobSchedule(copilot)).to.equal(kubernetes);
    });
  }

  for (const [schedule, message] of [
    ['daily', '"daily" is not a valid schedule'],
    ['cron(0 8 * *)', 'has 4 fields'],
    ['cron(0 8 1 1 ? 2030)', 'names a year'],
    ['cron(0 8 L * ? *)', 'has "L", which a CronJob does not support'],
    ['cron(0 8 ? * 6#3 *)', 'has "6#3", which a CronJob does not support'],
  ] as const) {
    it(`refuses ${schedule}`, () => {
      expect(() => cronJobSchedule(schedule)).to.throw(SyntaxError, message);
    });
  }
});

describe('eventBridgeSchedule', () => {
  it('is what Copilot gives to EventBridge', () => {
    const given = ['@every 1h30m', '@every 1m', '@annually', '0 9 1 * *', '0 9 * * 0,6', '* * * * *', 'rate(2 days)'];
    expect(given.map(eventBridgeSchedule)).to.deep.equal([
      ...['rate(90 minutes)', 'rate(1 minute)', 'cron(0 0 1 1 ? *)', 'cron(0 9 1 * ? *)', 'cron(0 9 ? * 1,7 *)'],
      ...['cron(* * * * ? *)', 'rate(2 days)'],
    ]);
  });
});

describe('scheduleNote', () => {
  it('names the times at which Copilot runs a day with a step', () => {
    expect(scheduleNote('0 8 */2 * *')).to.contain('Copilot runs "0 8 */2 * *" as "0 8 * * *"');
  });

  for (const schedule of ['0 8 * * 1-5', '0 8 1 * ?', '*/5 * * * *', '@daily', '@every 1h', 'cron(0 8 1/2 * ? *)'])
    it(`says nothing about ${schedule}`, () => {
      expect(scheduleNote(schedule)).to.equal(undefined);
    });
});
