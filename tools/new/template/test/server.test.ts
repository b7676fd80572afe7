import { expect } from 'chai';
import { MIGRATIONS } from '../src/migrations/index.ts';
import { RESOURCES } from '../src/resources.ts';

describe('the service', () => {
  it('has no resource twice', () => {
    expect(new Set(RESOURCES).size).to.equal(RESOURCES.length);
  });

  it('runs its migrations in the order of their names', () => {
    const names = Object.keys(MIGRATIONS);
    expect(names).to.deep.equal(names.toSorted());
  });
});
