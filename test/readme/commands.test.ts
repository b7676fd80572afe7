import { existsSync } from 'node:fs';
import { expect } from 'chai';
import { eventually } from '../../tools/process/eventually.ts';
import { freePort } from '../../tools/process/free-port.ts';
import { commands } from './markdown.ts';
import { commandsTypedBy, PROVED_OTHERWISE, programOf, README, shellBlocks, TYPED_BY } from './readme.ts';
import { type Running, Shell } from './shell.ts';

describe('the commands of the README', function () {
  this.timeout(60_000);

  describe('are covered', () => {
    it('by one test for each section with commands', () => {
      const withCommands = new Set(shellBlocks.map(({ heading }) => heading));
      expect(Object.values<readonly string[]>(TYPED_BY).flat().sort()).to.deep.equal([...withCommands].sort());
    });

    it('by test files that exist', () => {
      for (const test of Object.keys(TYPED_BY)) expect(existsSync(test), test).to.equal(true);
    });

    it('without exceptions for commands that the README no longer has', () => {
      const typed = shellBlocks.flatMap(commands);
      expect(Object.keys(PROVED_OTHERWISE).filter((command) => !typed.includes(command))).to.deep.equal([]);
    });

    it('because every block is a shell block', () => {
      expect(README.blocks.map(({ language }) => language)).to.deep.equal(shellBlocks.map(() => 'sh'));
    });
  });

  // The rehearsal checks at its end that it ran all of them.
  describe('for AWS', () => {
    for (const command of commandsTypedBy('test/rehearsal/rehearsal.test.ts')) {
      it(`run a program that exists: ${command}`, () => {
        const program = programOf(command);
        expect(program.startsWith('copilot ') || existsSync(program), program).to.equal(true);
      });
    }
  });

  describe('for a local machine', () => {
    let shell: Shell;
    let dev: Running;

    before(async () => {
      const [port, metricsPort] = [await freePort(), await freePort()];
      shell = new Shell(
        { 5000: port, 9464: metricsPort },
        {
          PORT: String(port),
          METRICS_PORT: String(metricsPort),
          DATABASE_HOST: undefined,
          // For `make stress_test`: the service of make dev, just long enough to see that the command works.
          LOAD_BALANCER: `http://127.0.0.1:${port}`,
          DURATION: '1',
        },
      );
    });
    after(() => {
      dev?.interrupt('SIGKILL');
      shell.close();
    });

    for (const command of new Set(commandsTypedBy('test/readme/commands.test.ts'))) {
      it(command, async () => {
        if (command === 'make dev') return await startDev();
        const { code, output } = await shell.type(command);
        // Whether it passes depends on the load of the machine.
        if (command === 'make stress_test') return expect(output).to.match(/^[1-9]\d* answers, 0 failed, p99 \d+ ms/m);
        expect(code, output).to.equal(0);
      });
    }

    async function startDev(): Promise<void> {
      dev = shell.start('make dev');
      await eventually(async () => dev.output().includes('is ready') || dev.child.exitCode !== null, 55);
      expect(dev.output()).to.match(/http:\/\/localhost:\d+ is ready/);
    }

    it('Ctrl-C, which stops all processes of make dev', async () => {
      dev.interrupt();
      const { output } = await dev.ended;
      expect(output).to.include('stopped; the private database is removed');
    });
  });
});
