import { expect } from 'chai';
import { commandsTypedBy } from '../readme/readme.ts';
import { Shell } from '../readme/shell.ts';
import { CLUSTER, url } from './cluster.ts';

describe('the commands of the README for the cluster', function () {
  this.timeout(240_000);
  let shell: Shell;

  before(() => {
    // A cluster keeps its port: without PORT, `make up` takes that one.
    shell = new Shell({ 5000: Number(new URL(url()).port) }, { CLUSTER, PORT: undefined });
  });
  after(() => shell?.close());

  for (const command of commandsTypedBy('test/cluster/readme.test.ts')) {
    // What the README says to type in the shell beside MySQL.
    const isForMySQL = command.startsWith('mysql ');
    it(isForMySQL ? `make shell, and there ${command}` : command, async () => {
      const { code, output } = isForMySQL ? await shell.type('make shell', command) : await shell.type(command);
      expect(code, output).to.equal(0);
    });
  }
});
