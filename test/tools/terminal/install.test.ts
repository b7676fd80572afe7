import { expect } from 'chai';
import { agreesToInstall } from '../../../tools/terminal/install.ts';

describe('installing packages', () => {
  const before = { INSTALL: process.env.INSTALL, CI: process.env.CI };
  const { isTTY } = process.stdin;
  beforeEach(() => {
    process.stdin.isTTY = false;
  });
  afterEach(() => {
    process.stdin.isTTY = isTTY;
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });

  for (const { INSTALL, CI, agrees } of [
    { INSTALL: undefined, CI: undefined, agrees: false },
    { INSTALL: undefined, CI: 'true', agrees: true },
    { INSTALL: '1', CI: undefined, agrees: true },
    { INSTALL: '0', CI: 'true', agrees: false },
  ]) {
    const given = `INSTALL=${INSTALL ?? ''} CI=${CI ?? ''}`;
    it(`is ${agrees ? 'agreed to' : 'refused'} without a terminal by ${given}`, async () => {
      delete process.env.INSTALL;
      delete process.env.CI;
      if (INSTALL !== undefined) process.env.INSTALL = INSTALL;
      if (CI !== undefined) process.env.CI = CI;
      expect(await agreesToInstall('A program is missing.', [['true']])).to.equal(agrees);
    });
  }
});
