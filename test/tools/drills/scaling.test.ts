import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { Fixture } from '../../../tools/drills/drill.ts';
import { earlyChanges, fewestDesired, Pressure, secondsToChange, untilTrue } from '../../../tools/drills/scaling.ts';

describe('Pressure', () => {
  it('counts an answer that was cut off as a failure, and ends after it', async () => {
    let isFirst = true;
    const server = createServer((_request, response) => {
      if (isFirst) response.writeHead(200, { 'content-length': 2 }).write('o', () => response.destroy());
      else response.writeHead(204).end();
      isFirst = false;
    }).listen(0);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const fixture: Fixture = {
      urls: [`http://127.0.0.1:${port}`],
      lateWritesEnd: true,
      memory: async () => undefined,
      restarts: async () => 0,
      async close() {},
    };
    try {
      const pressure = new Pressure(fixture, { clients: 1 });
      expect(await untilTrue(async () => pressure.answered > 1, 1, 5)).to.not.equal('never');
      await pressure.stop();
      expect(pressure.failed).to.equal(1);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });
});

describe('untilTrue', () => {
  it('gives back the seconds it took', async () => {
    let asked = 0;
    expect(await untilTrue(async () => ++asked === 3, 5, 1)).to.equal(0);
    expect(asked).to.equal(3);
  });

  it('gives up after its time', async () => {
    expect(await untilTrue(async () => false, -1, 1)).to.equal('never');
  });
});

describe('secondsToChange', () => {
  const change = { time: '2026-11-30T07:00:04.260Z', reason: 'p99 is 700 ms, above 500', changed: true };

  it('is the time from the alarm to the change', () => {
    expect(secondsToChange(Date.parse('2026-11-30T07:00:00.000Z'), change)).to.equal(4.3);
  });

  it('is 0 for a change before the alarm, and never without one of them', () => {
    expect(secondsToChange(Date.parse('2026-11-30T07:00:09.000Z'), change)).to.equal(0);
    expect(secondsToChange(undefined, change)).to.equal('never');
    expect(secondsToChange(0, undefined)).to.equal('never');
  });
});

describe('earlyChanges', () => {
  const change = (seconds: number, reason: string) => {
    return { time: new Date(seconds * 1000).toISOString(), reason, changed: true };
  };
  const out = '5 waiting per executing, above 3';
  const back = '0.2 waiting per executing, below 1';

  it('are those before the cooldown of their direction, which is longer to remove a task', () => {
    expect(earlyChanges([change(0, out), change(30, out), change(59, out), change(180, back)], 60_000)).to.equal(0);
    expect(earlyChanges([change(0, out), change(28, out)], 60_000)).to.equal(1);
    expect(earlyChanges([change(0, out), change(100, back)], 60_000)).to.equal(1);
  });

  it('go by the minute of the scaler', () => {
    expect(earlyChanges([change(0, out), change(8, out), change(38, back)], 15_000)).to.equal(0);
    expect(earlyChanges([change(0, out), change(5, out), change(25, back)], 15_000)).to.equal(2);
  });
});

describe('fewestDesired', () => {
  const scale = (...counts: number[]) => {
    return async () => ({ desired: counts.length > 1 ? (counts.shift() ?? 0) : (counts[0] ?? 0) });
  };

  it('is the lowest count until the work has ended, and a while after it', async () => {
    const work = sleep(20);
    expect(await fewestDesired(scale(3, 2, 3), work, { after: 0.02, pollMilliseconds: 5 })).to.equal(2);
    expect(await fewestDesired(scale(3, 3, 3, 1), sleep(1), { after: 0.1, pollMilliseconds: 5 })).to.equal(1);
  });

  it('throws what the work throws', async () => {
    const work = Promise.reject(new Error('no release'));
    const failed = await fewestDesired(scale(3), work, { after: 0, pollMilliseconds: 1 }).catch(String);
    expect(failed).to.equal('Error: no release');
  });
});
