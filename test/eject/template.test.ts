import { expect } from 'chai';
import { isSame, Template } from '../../eject/template.ts';

const minimal = 'Resources:\n  A:\n    Type: AWS::SNS::Topic\n';

describe('a template', () => {
  it('keeps comments, short forms, quotes and scalars that YAML 1.1 and 1.2 read differently', () => {
    const text = `AWSTemplateFormatVersion: 2010-09-09
Resources:
  # why
  A:
    Type: AWS::SNS::Topic
    Properties:
      Mode: 0755
      On: yes
      Text: "0755"
      Name: !Join ['', [a, !Ref B]]
      Code: |
        line
         indented
`;
    expect(new Template(text, 't').text()).to.equal(text);
  });

  it('has a long form for each short form', () => {
    const template = new Template(
      `${minimal}    Properties:\n      A: !GetAtt B.C.D\n      B: !Sub '\${X}'\n      C: !If [Y, !Ref Z, 1]\n      D: 'true'\n      E: true\n`,
      't',
    );
    expect(template.resources().get('A')?.properties).to.deep.equal({
      A: { 'Fn::GetAtt': ['B', 'C.D'] },
      B: { 'Fn::Sub': `\${X}` },
      C: { 'Fn::If': ['Y', { Ref: 'Z' }, 1] },
      D: 'true',
      E: true,
    });
  });

  it('reads every spelling of true and false that YAML 1.1 and Copilot use as one', () => {
    const template = new Template(`${minimal}    Properties: { A: True, B: FALSE, C: 'True' }\n`, 't');
    expect(template.resources().get('A')?.properties).to.deep.equal({ A: true, B: false, C: 'True' });
  });

  it('refuses a template that it could not write back unchanged', () => {
    expect(() => new Template('Resources:\n  A: &a {Type: X}\n  B: *a\n', 'stack')).to.throw(
      'stack: the template has YAML aliases',
    );
    expect(() => new Template('Resources: [', 'stack')).to.throw('stack: the template is not valid YAML');
    expect(() => new Template('Outputs: {}', 'stack')).to.throw('stack: the template has no Resources');
  });

  it('finds references in Ref, Fn::GetAtt and Fn::Sub, but no literals and variables of Fn::Sub', () => {
    const template = new Template(
      `${minimal}    Properties:\n      A: !Sub ['\${One.Arn} \${Own} \${!Literal}', {Own: !Ref Two}]\n      B: {Fn::GetAtt: [Three, Arn]}\n`,
      't',
    );
    expect([...template.references(['Resources', 'A'])].toSorted()).to.deep.equal(['One', 'Three', 'Two']);
  });

  it('is compared as CloudFormation takes it', () => {
    expect(isSame({ a: [80, true, null] }, { a: ['80', 'true', ''] })).to.equal(true);
    expect(isSame({ a: 1 }, { a: 1, b: 2 })).to.equal(false);
    expect(isSame({ a: 1, b: 2 }, { a: 1, c: 2 })).to.equal(false);
    expect(isSame(['a'], 'a')).to.equal(false);
  });

  describe('an attribute that is replaced', () => {
    const replaced = (property: string, value: string | { importValue: string }) => {
      const template = new Template(`${minimal}    Properties:\n      P: ${property}\n`, 't');
      template.replaceAttributes('X', () => value);
      return template.resources().get('A')?.properties.P;
    };

    it('is replaced in Fn::GetAtt, long and short', () => {
      const wanted = { 'Fn::ImportValue': { 'Fn::Sub': 'name' } };
      expect(replaced('!GetAtt X.Y', { importValue: 'name' })).to.deep.equal(wanted);
      expect(replaced('{Fn::GetAtt: [X, Y]}', { importValue: 'name' })).to.deep.equal(wanted);
      expect(replaced('!GetAtt [X, Y]', { importValue: 'name' })).to.deep.equal(wanted);
      expect(replaced('!GetAtt XX.Y', { importValue: 'name' })).to.deep.equal({ 'Fn::GetAtt': ['XX', 'Y'] });
    });

    it('becomes a variable of Fn::Sub, whatever form that has', () => {
      const wanted = { 'Fn::Sub': [`a \${XY} \${B}`, { XY: { 'Fn::ImportValue': { 'Fn::Sub': 'name' } } }] };
      expect(replaced(`!Sub 'a \${X.Y} \${B}'`, { importValue: 'name' })).to.deep.equal(wanted);
      expect(replaced(`{Fn::Sub: 'a \${X.Y} \${B}'}`, { importValue: 'name' })).to.deep.equal(wanted);
      expect(replaced(`!Sub ['a \${X.Y} \${B}', {}]`, { importValue: 'name' })).to.deep.equal(wanted);
    });

    it('becomes a part of the text of Fn::Sub when it is a literal', () => {
      expect(replaced(`!Sub 'a \${X.Y} \${!X.Y}'`, '5')).to.deep.equal({ 'Fn::Sub': `a 5 \${!X.Y}` });
    });
  });
});
