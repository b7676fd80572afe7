import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { stackPolicy } from '../../eject/apply.ts';
import { eject, fileJournal } from '../../eject/main.ts';
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

describe('the command eject', () => {
  const run = async (...words: string[]) => {
    const { log, error } = console;
    let output = '';
    console.log = console.error = (line: string) => {
      output += `${line}\n`;
    };
    try {
      return { code: await eject(words), output };
    } finally {
      Object.assign(console, { log, error });
    }
  };

  it('explains itself', async () => {
    const { code, output } = await run('--help');
    expect(code).to.equal(0);
    expect(output).to.contain('Usage: eject plan');
  });

  it('says what is wrong with its usage', async () => {
    for (const [words, message] of [
      [['start'], 'start: expected plan, write, check, apply, undo'],
      [['apply', '--environment', 'test'], 'apply : expected a step: retain, pin, detach, drop, environment'],
      [['plan'], '--environment is missing'],
      [['plan', '--unknown'], "Unknown option '--unknown'"],
    ] as const) {
      const { code, output } = await run(...words);
      expect(code, output).to.equal(64);
      expect(output).to.contain(message);
    }
  });

  it('says which file is missing', async () => {
    const { code, output } = await run('write', '--environment', 'test', '--output', '/nowhere');
    expect(code).to.equal(66);
    expect(output).to.contain('inventory.json is not there');
  });
});
