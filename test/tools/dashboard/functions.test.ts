import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { sourcesOf } from '../../../tools/dashboard/functions.ts';

describe('the files of a function in the cluster', () => {
  for (const program of ['pod-scaler', 'pod-logs']) {
    it(`are all that ${program} needs: without settings, it names those`, () => {
      const folder = mkdtempSync(join(tmpdir(), 'plusone-functions-'));
      try {
        mkdirSync(join(folder, 'functions'));
        symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
        for (const [name, text] of sourcesOf(program)) writeFileSync(join(folder, 'functions', name), text);
        writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
        const { status, stderr } = spawnSync(process.execPath, [`functions/${program}.ts`], {
          cwd: folder,
          env: {},
          encoding: 'utf8',
        });
        expect(stderr).to.match(/^(SCALER_NAMESPACE|LOGS_ENDPOINT): /);
        expect(status).to.equal(78);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  }
});
