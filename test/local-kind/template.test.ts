import { expect } from 'chai';
import { textOf } from '../../local-kind/template.ts';

describe('textOf', () => {
  it('leaves a name with an exclamation mark in Fn::Sub as a literal without it, as CloudFormation does', () => {
    const known = new Map([['Env', 'test']]);
    expect(textOf({ 'Fn::Sub': `\${Env}/\${!aws:username}` }, known)).to.equal(`test/\${aws:username}`);
  });
});
