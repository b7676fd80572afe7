import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { DocumentError } from '../../manifest/document.ts';
import { isFile, MissingInput, namesIn, openWorkspace, readText } from '../../manifest/workspace.ts';

describe('a file of a workspace', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'odd-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  const at = (name: string) => join(folder, name);
  const write = (name: string, bytes: Buffer | string) => {
    writeFileSync(at(name), bytes);
    return at(name);
  };

  it('is read in UTF-16 where its byte order mark says so, as Copilot reads it', () => {
    expect(readText(write('utf16', Buffer.from('\uFEFFname: é', 'utf16le'))).text).to.equal('name: é');
  });

  it('is refused where it is not UTF-8, with its line', () => {
    const file = write('latin1', Buffer.from('name: web\nnote: caf\xe9\n', 'latin1'));
    expect(() => readText(file)).to.throw(DocumentError, /latin1:2: a character that is not in UTF-8/);
    expect(readText(file, true).text).to.contain('caf');
  });

  it('is refused where it is larger than any template', () => {
    expect(() => readText(write('large', Buffer.alloc(2 ** 20 + 1, 'a')))).to.throw(DocumentError, 'larger than 1 MiB');
  });

  it('is named where it is a pipe, a folder or a link that leads to itself', () => {
    spawnSync('mkfifo', [at('pipe')]);
    mkdirSync(at('folder'));
    symlinkSync('loop', at('loop'));
    expect(() => readText(at('pipe'))).to.throw(MissingInput, /pipe is a device or a pipe/);
    expect(() => readText(at('folder'))).to.throw(MissingInput, /folder is a folder/);
    expect(isFile(at('loop'))).to.equal(false);
    expect(() => readText(at('loop'))).to.throw(MissingInput, /loop is a symbolic link that leads back to itself/);
  });

  it('is named where it stands in place of a folder', () => {
    expect(() => namesIn(write('addons', ''))).to.throw(MissingInput, /addons is no folder/);
    expect(() => namesIn(join(write('environments', ''), 'addons'))).to.throw(MissingInput, /addons is no folder/);
    expect(namesIn(at('absent'))).to.deep.equal([]);
  });

  it('names a workload whose manifest is a link to nothing', () => {
    mkdirSync(at('copilot/web'), { recursive: true });
    write('copilot/.workspace', 'application: shop');
    symlinkSync('nothing.yml', at('copilot/web/manifest.yml'));
    expect(openWorkspace(folder).workloads).to.deep.equal(['web']);
  });
});
