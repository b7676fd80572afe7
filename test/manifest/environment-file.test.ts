import { expect } from 'chai';
import { readEnvironmentFile } from '../../manifest/environment-file.ts';

describe('readEnvironmentFile', () => {
  it('reads a variable on each line', () => {
    expect([...readEnvironmentFile('A=1\nB=x=y\r\nC=\n', 'a.env')]).to.deep.equal([
      ['A', '1'],
      ['B', 'x=y'],
      ['C', ''],
    ]);
  });

  it('skips comments and empty lines', () => {
    expect([...readEnvironmentFile('# A=1\n\nB=2', 'a.env')]).to.deep.equal([['B', '2']]);
  });

  it('keeps quotes and spaces, as ECS does', () => {
    expect(readEnvironmentFile('A="b" c ', 'a.env').get('A')).to.equal('"b" c ');
  });

  it('reports the line that is not a variable', () => {
    expect(() => readEnvironmentFile('A=1\nexport B', 'a.env')).to.throw('a.env:2: expected NAME=value');
  });
});
