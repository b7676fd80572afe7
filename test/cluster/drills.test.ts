import { availableParallelism, loadavg } from 'node:os';
import { expect } from 'chai';
import { skipWithout } from '../skip.ts';
import { CLUSTER, type Ended, ended } from './cluster.ts';

const ATTEMPTS = 2;

/**
 * The drills of monitoring with short faults, in the cluster of the tests; `make drill TARGET=kind` runs the long ones, and
 * those whose p99 says something on a quiet machine only.
 */
describe('monitoring, in a quick drill', function () {
  this.timeout('10m');

  async function drill(name: string): Promise<Ended> {
    for (let attempt = 1; ; attempt += 1) {
      const words = [
        `CLUSTER=${CLUSTER}`,
        process.execPath,
        'tools/drills/main.ts',
        name,
        '--target',
        'kind',
        '--quick',
      ];
      const result = await ended('env', words);
      const [load = 0] = loadavg();
      // On a busy machine a page may be late.
      if (result.code === 0 || attempt === ATTEMPTS || load < 2 * availableParallelism()) return result;
    }
  }

  for (const [name, what] of [
    ['logs-arrive', 'finds the line of each request once, also of those while OpenSearch did not answer'],
    ['nobody-answers', 'pages when no pod answers, with what a person needs, and resolves'],
    ['quiet-day', 'pages nobody for a release or a pod that moves'],
    ['secret-hygiene', 'shows no key in objects, logs, process lists or images'],
  ] as const) {
    it(`${what} (${name})`, async function () {
      const { code, stdout, stderr } = await drill(name);
      const [, reason] = /not run: (.*)/.exec(stdout) ?? [];
      const [, image] = /needs the image ([^:]+):/.exec(reason ?? '') ?? [];
      if (reason !== undefined) return skipWithout(this, image ?? name, reason);
      expect(code, `${stdout}${stderr}`).to.equal(0);
    });
  }
});
