import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { stackPolicy } from '../../eject/apply.ts';
import { fileJournal } from '../../eject/commands.ts';
import { exclusively } from '../../eject/lock.ts';
import { nothing } from '../../eject/steps.ts';

describe('the journal', () => {
  const folder = mkdtempSync(join(tmpdir(), 'journal-'));
  after(() => rmSync(folder, { recursive: true }));

  it('knows how far the last update of a stack came, also after a run that was killed as it wrote', () => {
    const file = join(folder, 'new', 'log.jsonl');
    const journal = fileJournal(file);
    expect(journal.last('a')).to.equal(undefined);
    journal.write({ event: 'execute', stack: 'a' });
    journal.write({ event: 'end', stack: 'b' });
    expect([journal.last('a'), journal.last('b')]).to.deep.equal(['execute', 'end']);
    appendFileSync(file, '{"event":"en');
    expect(fileJournal(file).last('a')).to.equal('execute');
    appendFileSync(file, '\n');
    journal.write({ event: 'end', stack: 'a' });
    expect(journal.last('a')).to.equal('end');
  });
});

describe('the lock of a folder', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lock-'));
  after(() => rmSync(folder, { recursive: true }));

  it('lets one process in, and names it to the other', async () => {
    const message = await exclusively(folder, async () => {
      const [result] = await Promise.allSettled([exclusively(folder, async () => 'both')]);
      return result.status === 'rejected' ? String(result.reason.message) : result.value;
    });
    expect(message).to.equal(`plusone eject is running in ${folder} (process ${process.pid}): wait for its end`);
    expect(await exclusively(folder, async () => 'again')).to.equal('again');
  });

  it('is taken over from a process that was killed', async () => {
    const { pid } = spawnSync(process.execPath, ['--eval', '0']);
    writeFileSync(join(folder, 'lock'), String(pid));
    expect(await exclusively(folder, async () => 'again')).to.equal('again');
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
