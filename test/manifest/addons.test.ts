import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { expect } from 'chai';
import { addonProblems, readAddons, variableName } from '../../manifest/addons.ts';

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

describe('the addons that Copilot refuses', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'addons-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const own = 'App: { Type: String }, Env: { Type: String }, Name: { Type: String }';
  const template = (name: string, ...lines: string[]) => writeFileSync(join(folder, name), lines.join('\n'));
  const problems = (of: 'workload' | 'environments' = 'workload') =>
    addonProblems(folder, of).map(({ file, line, message }) => `${basename(file)}:${line}: ${message}`);

  it('are none if the templates together have all parameters, and the others have a default or a value', () => {
    template('a.yml', 'Parameters: { App: { Type: String }, Env: { Type: String }, Size: { Type: Number } }');
    template('b.yaml', 'Parameters: { Name: { Type: String }, App: { Type: "String" }, Free: { Default: "" } }');
    template('addons.parameters.yml', 'Parameters: { Size: 3 }');
    template('empty.yml', '');
    expect(problems()).to.deep.equal([]);
  });

  it('are none in a folder without templates', () => {
    template('addons.parameters.yml', 'Parameters: { Size: 3 }');
    template('notes.txt', 'Parameters: 3');
    expect(problems()).to.deep.equal([]);
    expect(addonProblems(join(folder, 'none'), 'workload')).to.deep.equal([]);
  });

  it('lack a parameter that Copilot passes', () => {
    template('a.yml', 'Resources: {}', 'Parameters: { App: { Type: String } }');
    expect(problems()).to.deep.equal([
      'a.yml:2: Parameters.Env is missing: Copilot passes App, Env and Name to these addons. Add "Env: { Type: String }" to Parameters',
      'a.yml:2: Parameters.Name is missing: Copilot passes App, Env and Name to these addons. Add "Name: { Type: String }" to Parameters',
    ]);
    expect(problems('environments')).to.deep.equal([
      'a.yml:2: Parameters.Env is missing: Copilot passes App and Env to these addons. Add "Env: { Type: String }" to Parameters',
    ]);
  });

  it('have a parameter without a value', () => {
    template('a.yml', 'Parameters:', `  ${own.replaceAll(', ', '\n  ')}`, '  Size: { Type: Number }', '  Other:');
    expect(problems()).to.deep.equal([
      'a.yml:5: Parameters.Size has no value: give it a Default, or a value in addons.parameters.yml',
      'a.yml:6: Parameters.Other has no value: give it a Default, or a value in addons.parameters.yml',
    ]);
  });

  it('have a value that Copilot sets, or that no template asks for', () => {
    template('a.yml', `Parameters: { ${own} }`);
    template('addons.parameters.yaml', 'Parameters:', '  Name: x', '  Size: 1');
    expect(problems()).to.deep.equal([
      'addons.parameters.yaml:2: Parameters.Name: Copilot sets App, Env and Name itself. Remove it',
      'addons.parameters.yaml:3: Parameters.Size: no template beside it has this parameter',
    ]);
  });

  it('have two files of values, or one without Parameters', () => {
    template('a.yml', `Parameters: { ${own} }`);
    template('addons.parameters.yaml', 'Size: 1');
    expect(problems()).to.deep.equal([
      'addons.parameters.yaml:1: Parameters is missing: expected "Parameters:" with a value for each parameter below it',
    ]);
    template('addons.parameters.yml', 'Parameters: {}');
    expect(problems()).to.deep.equal([
      'addons.parameters.yml:1: addons.parameters.yaml is beside it, and Copilot takes only one of them',
    ]);
  });

  for (const [section, one, other] of [
    ['Resources.T', 'Resources: { T: { Type: a } }', 'Resources: { T: { Type: b } }'],
    ['Outputs.T', 'Outputs: { T: { Value: !Ref A } }', 'Outputs: { T: { Value: A } }'],
    ['Conditions.T', 'Conditions: { T: [a] }', 'Conditions: { T: [a, b] }'],
    ['Metadata.T', 'Metadata: { T: { a: 1, b: 2 } }', 'Metadata: { T: { b: 2, a: 1 } }'],
    ['Mappings.T.a', 'Mappings: { T: { a: { x: 1 } } }', 'Mappings: { T: { b: { x: 1 }, a: { x: 2 } } }'],
    ['Parameters.Name', '', 'Parameters: { Name: { Type: Number } }'],
  ] as const) {
    it(`have two different ${section}`, () => {
      template('a.yml', `Parameters: { ${own} }`, one);
      template('b.yml', other);
      expect(problems()).to.deep.equal([
        `b.yml:1: ${section}: Copilot merges the templates of a folder, and a.yml:${one ? 2 : 1} has another ${section}: rename one of them, or make them equal`,
      ]);
    });
  }

  it('may have the same thing twice, and different keys of one mapping', () => {
    template('a.yml', `Parameters: { ${own} }`, 'Resources: { T: { Type: "a" } }', 'Mappings: { T: { a: { x: 1 } } }');
    template('b.yml', 'Resources: { T: { Type: a } }', 'Mappings: { T: { b: { x: 2 } } }');
    expect(problems()).to.deep.equal([]);
  });

  it('have a section that is no map, or a section twice', () => {
    template('a.yml', `Parameters: { ${own} }`, 'Resources: [x]', 'Outputs: {}', 'Outputs: {}');
    expect(problems()).to.deep.equal([
      'a.yml:4: duplicate key "Outputs": the keys of a map must be unique',
      'a.yml:2: expected a map',
    ]);
  });

  it('are no map at all', () => {
    template('a.yml', '- a');
    expect(() => problems()).to.throw(`${join(folder, 'a.yml')}:1: expected a map`);
  });
});
