import { expect } from 'chai';
import fc from 'fast-check';
import { DocumentError } from '../../manifest/document.ts';
import { schemaOf, type WorkloadType, workloadTypes } from '../../manifest/fields.ts';
import { read } from '../k8s/workload.ts';

/** Reads the text; a DocumentError is a proper refusal, any other error fails the test. */
function attempt(text: string): void {
  try {
    read(text);
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error;
    expect(error.message).to.match(/^manifest.yml:\d+: /);
  }
}

const types = Object.keys(workloadTypes) as WorkloadType[];
const names = types.flatMap((type) => Object.keys(schemaOf(type, 'whole').shape));
const inner = [
  'path',
  'port',
  'healthcheck',
  'range',
  'min',
  'topics',
  'queue',
  'fifo',
  'efs',
  '__proto__',
  '<<',
  'test',
];
const key = fc.oneof(fc.constantFrom(...names, ...inner), fc.string({ maxLength: 4 }));
const leaf = fc.oneof(
  fc.constantFrom('80/udp', '5s', '', '1-3', '[".nan"]', `\${HOME}`, '*a'),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.string({ maxLength: 6 }),
);
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    leaf,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.array(fc.tuple(key, tie('value')), { maxLength: 4 }).map((entries) => Object.fromEntries(entries)),
  ),
}));

describe('any input', () => {
  it('of the names and values of manifests is read or refused with a line', () => {
    fc.assert(
      fc.property(fc.constantFrom(...types), fc.dictionary(key, value, { maxKeys: 6 }), (type, fields) => {
        attempt(JSON.stringify({ ...fields, name: 'api', type }));
      }),
      { numRuns: 300 },
    );
  });

  it('of YAML signs is read or refused with a line', () => {
    const sign = fc.constantFrom(
      ...'&*<:[]{}|>-?!%@`"\'#,~\n \t',
      '&a ',
      '*a',
      '<<: ',
      '\n  ',
      '.nan',
      '!!binary ',
      'a: ',
    );
    fc.assert(
      fc.property(fc.array(sign, { maxLength: 40 }), (signs) =>
        attempt(`name: api\ntype: Worker Service\n${signs.join('')}`),
      ),
      { numRuns: 500 },
    );
  });
});
