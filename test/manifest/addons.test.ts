import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { readAddons, variableName } from '../../manifest/addons.ts';

describe('the addons of a workload', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'addons-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const template = (name: string, ...lines: string[]) => writeFileSync(join(folder, name), lines.join('\n'));
  const read = () => readAddons(folder).map(({ name, isSecret }) => [name, isSecret]);

  it('are none without a folder', () => {
    expect(readAddons(join(folder, 'addons'))).to.deep.equal([]);
  });

  it('have the outputs of all templates, with their lines', () => {
    template('a.yml', 'Resources: {}', 'Outputs:', '  Bucket: { Value: !GetAtt B.Name }');
    template('b.yaml', 'Outputs: { Table: { Value: t } }');
    const [bucket, table] = readAddons(folder);
    expect([bucket?.at, table?.at]).to.deep.equal([`${join(folder, 'a.yml')}:3`, `${join(folder, 'b.yaml')}:1`]);
  });

  it('leave out policies and security groups, which are attached', () => {
    template(
      'a.yml',
      'Resources: { P: { Type: "AWS::IAM::ManagedPolicy" }, G: { Type: "AWS::EC2::SecurityGroup" } }',
      'Outputs: { Policy: { Value: !Ref P }, Group: { Value: { Ref: G } }, Id: { Value: !GetAtt G.GroupId } }',
    );
    expect(read()).to.deep.equal([['Id', false]]);
  });

  it('know a secret by its resource, in another template too', () => {
    template('a.yml', 'Resources: { S: { Type: "AWS::SecretsManager::Secret" } }');
    template(
      'b.yml',
      `Outputs: { Short: { Value: !Ref S }, Long: { Value: { Ref: S } }, Name: { Value: !Sub "\${S}" } }`,
    );
    expect(read()).to.deep.equal([
      ['Short', true],
      ['Long', true],
      ['Name', false],
    ]);
  });

  it('read neither parameters nor other files', () => {
    template('addons.parameters.yml', 'Parameters: { A: b }', 'Outputs: { No: { Value: 1 } }');
    template('notes.txt', 'Outputs: { No: { Value: 1 } }');
    mkdirSync(join(folder, 'function'));
    expect(read()).to.deep.equal([]);
  });

  it('know what an output is exported as', () => {
    template(
      'a.yml',
      'Outputs:',
      '  A: { Value: 1, Export: { Name: a } }',
      `  B: { Value: 1, Export: { Name: !Sub "\${App}-b" } }`,
      `  C: { Value: 1, Export: { Name: { "Fn::Sub": "\${Env}-c" } } }`,
      '  D: { Value: 1 }',
    );
    const names = readAddons(folder).map(({ exportName }) => exportName);
    expect(names).to.deep.equal(['a', `\${App}-b`, `\${Env}-c`, undefined]);
  });

  it('are refused with file and line where they are no YAML', () => {
    template('a.yml', 'Outputs:', '  A: { Value: 1');
    expect(() => readAddons(folder)).to.throw(`${join(folder, 'a.yml')}:`);
  });

  for (const [output, variable] of [
    ['usersDdbTableName', 'USERS_DDB_TABLE_NAME'],
    ['MyDDB2WithLSI', 'MY_DDB2_WITH_LSI'],
    ['DbHost', 'DB_HOST'],
    ['URL', 'URL'],
  ] as const) {
    it(`become variables: ${output} is ${variable}`, () => expect(variableName(output)).to.equal(variable));
  }
});
