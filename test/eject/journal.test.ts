import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { stackPolicy } from '../../eject/apply.ts';
import { fileJournal } from '../../eject/commands.ts';
import { nothing } from '../../eject/steps.ts';

describe('the journal', () => {
  const folder = mkdtempSync(join(tmpdir(), 'journal-'));
  after(() => rmSync(folder, { recursive: true }));

  it('knows which update was started and not seen to end, also after a run that was killed as it wrote', () => {
    const file = join(folder, 'new', 'log.jsonl');
    const journal = fileJournal(file);
    expect(journal.isUpdating('a')).to.equal(false);
    journal.write({ event: 'execute', stack: 'a' });
    journal.write({ event: 'end', stack: 'b' });
    expect(journal.isUpdating('a')).to.equal(true);
    expect(journal.isUpdating('b')).to.equal(false);
    appendFileSync(file, '{"event":"en');
    expect(fileJournal(file).isUpdating('a')).to.equal(true);
    appendFileSync(file, '\n');
    journal.write({ event: 'end', stack: 'a' });
    expect(journal.isUpdating('a')).to.equal(false);
  });
});

describe('the temporary stack policy', () => {
  it('denies to replace and to delete anything', () => {
    expect(JSON.parse(stackPolicy({ expected: nothing, mayReplace: [] })).Statement).to.deep.equal([
      { Effect: 'Allow', Action: 'Update:*', Principal: '*', Resource: '*' },
      { Effect: 'Deny', Action: 'Update:Replace', Principal: '*', Resource: '*' },
      { Effect: 'Deny', Action: 'Update:Delete', Principal: '*', Resource: '*' },
    ]);
  });

  it('lets through what is expected to be deleted, and what may be replaced', () => {
    const policy = JSON.parse(stackPolicy({ expected: { ...nothing, removed: ['A'] }, mayReplace: ['B'] }));
    expect(policy.Statement[1].NotResource).to.deep.equal(['LogicalResourceId/B']);
    expect(policy.Statement[2].NotResource).to.deep.equal(['LogicalResourceId/A']);
  });
});
