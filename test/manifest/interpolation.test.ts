import { expect } from 'chai';
import { read, refusal, webService } from '../k8s/workload.ts';

function variable(value: string, shell: Record<string, string> = {}) {
  return read(webService('variables:', `  A: ${value}`), 'test', shell).fields.variables?.A;
}

describe(`\${NAME} in a manifest`, () => {
  it('is the application', () => {
    expect(variable(`\${COPILOT_APPLICATION_NAME}`)).to.equal('shop');
  });

  it('is the environment', () => {
    expect(variable(`/copilot/\${COPILOT_ENVIRONMENT_NAME}/x`)).to.equal('/copilot/test/x');
  });

  it('is a variable of the shell', () => {
    expect(variable(`v\${TAG}-\${TAG}`, { TAG: '7' })).to.equal('v7-7');
  });

  it('remains a string if its value looks like a number', () => {
    expect(refusal(webService(`cpu: \${CPU}`), { CPU: '256' })).to.equal(
      'manifest.yml:5: cpu: expected a whole number, found "256"',
    );
  });

  it('is not expanded after a backslash', () => {
    expect(variable(`\\\${HOME}`, { HOME: '/root' })).to.equal(`\${HOME}`);
  });

  it('becomes a list if its value is a JSON list of strings', () => {
    const { fields } = read(webService(`command: \${ARGS}`), 'test', { ARGS: '["a", "b c"]' });
    expect(fields.command).to.deep.equal(['a', 'b c']);
  });

  it('remains a string in a literal block', () => {
    const { fields } = read(webService('variables:', '  A: |-', '    ["a"]'));
    expect(fields.variables?.A).to.equal('["a"]');
  });

  it('is refused with file and line if the shell does not set it', () => {
    expect(refusal(webService(`command: \${MISSING}`))).to.equal(
      `manifest.yml:5: \${MISSING}: the environment variable MISSING is not set`,
    );
  });

  it('is refused once if it is repeated by an alias', () => {
    const text = webService(`variables: &v { A: "\${MISSING}" }`, 'sidecars: { s: { image: x, variables: *v } }');
    expect(refusal(text).split('\n')).to.have.length(1);
  });

  it('is refused in the section of another environment too, as Copilot does', () => {
    const text = webService(`environments: { prod: { command: "\${MISSING}" } }`);
    expect(refusal(text)).to.contain('MISSING is not set');
  });

  it('is refused if the shell contradicts a predefined name', () => {
    const message = refusal(webService(`command: \${COPILOT_ENVIRONMENT_NAME}`), { COPILOT_ENVIRONMENT_NAME: 'prod' });
    expect(message).to.contain(
      `\${COPILOT_ENVIRONMENT_NAME} is "test" here, but this shell sets COPILOT_ENVIRONMENT_NAME to "prod"`,
    );
  });
});
