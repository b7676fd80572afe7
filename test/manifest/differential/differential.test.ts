import { globSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { DocumentError } from '../../../manifest/document.ts';
import { isEmulator } from '../../../tools/aws/endpoint.ts';
import { read } from '../../k8s/workload.ts';
import { skipWithout } from '../../skip.ts';
import { accepted, acceptedFiles, refused } from '../examples.ts';
import { Copilot } from './copilot.ts';
import { likely, wild } from './manifests.ts';
import { reasonFor } from './reasons.ts';

const runs = Number(process.env.DIFFERENTIAL_RUNS ?? 60);
const parallel = 4;

/** The manifests of this repository, named as the one service that the application has. */
const own = globSync(['copilot/*/manifest.yml', 'test/{workspaces,eject/sample}/**/copilot/*/manifest.yml'])
  .filter((file) => !file.includes('environments'))
  .map((file) => readFileSync(file, 'utf8').replace(/^name:.*$/m, 'name: api'));

const written = [...refused.map(([text]) => text), ...accepted, ...acceptedFiles].filter((text) =>
  /^name: api$/m.test(text),
);
const generated = fc
  .sample(fc.oneof(likely, wild), { seed: 16, numRuns: runs })
  .map((fields) => JSON.stringify(fields, null, 1));

/** What reading refuses the manifest with, or undefined. */
function ours(text: string): string | undefined {
  try {
    read(text);
    return undefined;
  } catch (error) {
    if (error instanceof DocumentError) return error.message;
    throw error;
  }
}

describe('reading a manifest', function () {
  this.timeout('30m');
  const copilot = new Copilot();
  before(async function () {
    if (!(await isEmulator())) return skipWithout(this, 'aws', 'no AWS-compatible endpoint answers here');
    copilot.start(parallel);
  });
  after(() => copilot.stop());

  /** Where one side takes what the other refuses, without a reason that is known. */
  async function differences(texts: readonly string[]): Promise<string[]> {
    const queue = texts.values();
    const found: string[] = [];
    async function work() {
      for (const text of queue) {
        const type = /"?type"?: "?([A-Z][A-Za-z -]+)/.exec(text)?.[1] ?? '';
        const theirs = await copilot.refusal(text, type);
        const mine = ours(text);
        if ((mine === undefined) === (theirs === undefined) || reasonFor(text, mine, theirs)) continue;
        found.push(`${text}\n  here: ${mine ?? 'accepted'}\n  Copilot: ${theirs ?? 'accepted'}`);
      }
    }
    await Promise.all(Array.from({ length: parallel }, work));
    return found;
  }

  it('accepts the manifests of this repository, as Copilot does', async () => {
    expect(own).to.have.length.above(5);
    expect(await differences(own)).to.deep.equal([]);
  });

  it('agrees with Copilot on every example of a rule', async () => {
    expect(await differences(written)).to.deep.equal([]);
  });

  it(`agrees with Copilot on ${runs} generated manifests`, async () => {
    expect(await differences(generated)).to.deep.equal([]);
  });
});
