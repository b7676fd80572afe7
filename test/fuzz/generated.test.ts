import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { NoProgram, programFromPyPI } from '../../tools/process/pypi.ts';
import { skipWithout } from '../skip.ts';
import { EVERY_TYPE, GeneratedService, projectOf } from '../tools/new/generated.ts';
import { SCHEMATHESIS } from './schemathesis.ts';

const pathOf = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const CASES_EACH = 40;

describe('fuzzing a generated service with Schemathesis', function () {
  this.timeout(600_000);

  it('finds only documented answers, with a field of every type', async function () {
    const program = await programFromPyPI(SCHEMATHESIS, 'st').catch((error: unknown) => {
      if (error instanceof NoProgram) return skipWithout(this, 'python3', error.message);
      throw error;
    });
    const service = new GeneratedService(projectOf('stock', 'box', EVERY_TYPE));
    try {
      const options = `--config-file ${pathOf('./schemathesis.toml')} run $BASE_URL/openapi.json --seed 1 --checks all`;
      const command = `SCHEMATHESIS_HOOKS=${pathOf('./generated-hooks.py')} ${program} ${options} --max-examples ${CASES_EACH}`;
      const { status, output } = service.plusone('dev', '--run', command);
      expect(status, output).to.equal(0);
      expect(output).to.contain('No issues found');
    } finally {
      service.remove();
    }
  });
});
