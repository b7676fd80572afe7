import { expect } from 'chai';
import { isSameTemplate } from '../../eject/steps.ts';
import { Template } from '../../eject/template.ts';

const text = `Resources:
  Subnet:
    Type: AWS::EC2::Subnet
    Properties:
      CidrBlock: 10.0.0.0/24
      Tags: [{ Key: Name, Value: !Sub 'copilot-\${App}' }]
`;

/** The same after an edit as a step makes it. */
function edited(): Template {
  const template = new Template(text, 'shop-test');
  template.set(['Resources', 'Subnet', 'DeletionPolicy'], 'Retain');
  return template;
}

describe('isSameTemplate', () => {
  it('holds for an edited template and the one that CloudFormation gives back', () => {
    expect(isSameTemplate(new Template(edited().text(), 'shop-test'), edited())).to.equal(true);
  });

  it('does not hold after a change of one value', () => {
    const other = edited();
    other.set(['Resources', 'Subnet', 'DeletionPolicy'], 'Delete');
    expect(isSameTemplate(other, edited())).to.equal(false);
  });
});
