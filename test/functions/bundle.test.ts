import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { bundle, FUNCTIONS } from '../../tools/aws/build-functions.ts';

describe('the bundles that Lambda loads', () => {
  for (const name of FUNCTIONS) {
    it(`are built from the current code: ${name}`, async () => {
      const { file, text } = await bundle(name);
      expect(readFileSync(file, 'utf8') === text, `${file} is not current: npm run functions:build`).to.equal(true);
    });

    it(`export a handler, without node_modules: ${name}`, async () => {
      const { file } = await bundle(name);
      const load = `const { handler } = await import(process.argv[1]); console.log(typeof handler)`;
      const words = ['--input-type=module', '--eval', load, `${process.cwd()}/${file}`];
      expect(execFileSync(process.execPath, words, { encoding: 'utf8' }).trim()).to.equal('function');
    });
  }
});
