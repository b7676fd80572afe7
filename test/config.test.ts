import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { ConfigError, type Environment, readConfig, secretsPath } from '../src/config.ts';

const ENOUGH = { DATABASE_HOST: 'db', DATABASE_USERNAME: 'plusone', DATABASE_PASSWORD: 'hunter2' };

function complaints(environment: Environment, secrets?: Environment): readonly string[] {
  try {
    readConfig(environment, secrets);
  } catch (error) {
    if (error instanceof ConfigError) return error.lines;
    throw error;
  }
  return [];
}

describe('readConfig', () => {
  it('has a default for everything except the host and credentials of the database', () => {
    const config = readConfig(ENOUGH);
    expect(config).to.deep.equal({
      port: 5000,
      metricsPort: 9464,
      database: {
        host: 'db',
        port: 3306,
        name: 'plusone',
        username: 'plusone',
        password: 'hunter2',
        certificateAuthorities: undefined,
        poolSize: 10,
        queueLimit: 1000,
        waitSeconds: 60,
      },
      secretsPath: undefined,
      writeToken: undefined,
      logLevel: 'info',
      drainSeconds: 5,
      graceSeconds: 25,
      revision: 'unknown',
      tracing: undefined,
      pulse: undefined,
    });
  });

  it('names the pulse after what Copilot says the service is', () => {
    const copilot = {
      COPILOT_APPLICATION_NAME: 'plusone',
      COPILOT_ENVIRONMENT_NAME: 'test',
      COPILOT_SERVICE_NAME: 'hello',
    };
    expect(readConfig({ ...ENOUGH, ...copilot, PULSE_SECONDS: '60' }).pulse).to.deep.equal({
      seconds: 60,
      dimensions: { Application: 'plusone', Environment: 'test', Service: 'hello' },
    });
    expect(readConfig({ ...ENOUGH, PULSE_SECONDS: '60' }).pulse).to.deep.equal({ seconds: 60, dimensions: {} });
  });

  it('is frozen', () => {
    expect(readConfig(ENOUGH)).to.be.frozen;
    expect(readConfig(ENOUGH).database).to.be.frozen;
  });

  it('reads a variable that the environment lacks from the secrets', () => {
    const { database } = readConfig({ DATABASE_HOST: 'db' }, { DATABASE_USERNAME: 'eve', DATABASE_PASSWORD: 'x' });
    expect(database).to.include({ host: 'db', username: 'eve', password: 'x' });
  });

  it('gives the environment precedence over the secrets', () => {
    expect(readConfig(ENOUGH, { DATABASE_HOST: 'elsewhere' }).database.host).to.equal('db');
  });

  it('names every missing variable at once', () => {
    expect(complaints({ DATABASE_HOST: 'db' })).to.deep.equal([
      'DATABASE_USERNAME is missing: it is not in the environment',
      'DATABASE_PASSWORD is missing: it is not in the environment',
    ]);
  });

  it('names the missing SSM parameter if there is a path to secrets', () => {
    expect(complaints({ ...ENOUGH, DATABASE_PASSWORD: '', SECRETS_PATH: '/a/b' })).to.deep.equal([
      'DATABASE_PASSWORD is missing: it is not in the environment, and there is no SSM parameter /a/b/DATABASE_PASSWORD',
    ]);
  });

  it('counts an empty variable as missing', () => {
    expect(complaints({ ...ENOUGH, DATABASE_HOST: '' })).to.have.length(1);
  });

  for (const value of ['abc', '0', '65536', '-1', '5000.5', ' 5000', '0x1388', '1e3']) {
    it(`refuses the port ${JSON.stringify(value)} and says what is valid`, () => {
      expect(complaints({ ...ENOUGH, PORT: value })).to.deep.equal([
        `PORT is ${JSON.stringify(value)}; it must be a whole number from 1 to 65535`,
      ]);
    });
  }

  it('refuses an unknown log level and names the known ones', () => {
    expect(complaints({ ...ENOUGH, LOG_LEVEL: 'loud' })).to.deep.equal([
      'LOG_LEVEL is "loud"; it must be one of fatal, error, warn, info, debug, trace, silent',
    ]);
  });

  it('refuses the same port for both servers', () => {
    expect(complaints({ ...ENOUGH, PORT: '9464' })).to.deep.equal([
      'METRICS_PORT is 9464, the same as PORT; it must be another port',
    ]);
  });

  it('refuses a grace period that ends before the drain', () => {
    expect(complaints({ ...ENOUGH, SHUTDOWN_DRAIN_SECONDS: '30' })).to.deep.equal([
      'SHUTDOWN_GRACE_SECONDS is 25; it must be more than SHUTDOWN_DRAIN_SECONDS, which is 30',
    ]);
  });

  it('never shows a password, valid or invalid', () => {
    expect(complaints({ ...ENOUGH, PORT: 'x', LOG_LEVEL: 'y' }).join()).not.to.contain('hunter2');
  });

  it("has Amazon's certificate authorities", () => {
    const { certificateAuthorities } = readConfig({ ...ENOUGH, DATABASE_TLS: 'rds' }).database;
    expect(certificateAuthorities).to.match(/^-----BEGIN CERTIFICATE-----/);
  });

  it('refuses an IP address as the host, which cannot be compared with a certificate', () => {
    for (const host of ['10.0.0.7', '::1']) {
      const [line] = complaints({ ...ENOUGH, DATABASE_TLS: 'rds', DATABASE_HOST: host });
      expect(line).to.contain(`DATABASE_HOST is "${host}"; with DATABASE_TLS it must be a host name`);
    }
  });

  describe('with a file of certificate authorities', () => {
    let directory: string;
    before(() => {
      directory = mkdtempSync(join(tmpdir(), 'plusone-test-'));
    });
    after(() => rmSync(directory, { recursive: true }));

    it('reads it', () => {
      const file = join(directory, 'ca.pem');
      writeFileSync(file, '-----BEGIN CERTIFICATE-----\n');
      const { certificateAuthorities } = readConfig({ ...ENOUGH, DATABASE_TLS: file }).database;
      expect(certificateAuthorities).to.equal('-----BEGIN CERTIFICATE-----\n');
    });

    it('names the file if it does not exist', () => {
      const [line] = complaints({ ...ENOUGH, DATABASE_TLS: join(directory, 'none.pem') });
      expect(line).to.match(/^DATABASE_TLS is ".*none\.pem": ENOENT.*; it must be off, rds or the path of a file/);
    });

    it('says that the file contains no certificate', () => {
      const file = join(directory, 'empty.pem');
      writeFileSync(file, 'nothing');
      expect(complaints({ ...ENOUGH, DATABASE_TLS: file })[0]).to.contain('the file contains no certificate');
    });
  });
});

describe('the variables of OpenTelemetry', () => {
  const ON = { ...ENOUGH, OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };

  it('have the defaults of its specification', () => {
    expect(readConfig(ON).tracing).to.deep.equal({
      sampler: 'parentbased_always_on',
      sampledShare: 1,
      batches: {
        scheduledDelayMillis: 5_000,
        exportTimeoutMillis: 30_000,
        maxQueueSize: 2_048,
        maxExportBatchSize: 512,
      },
    });
  });

  it('enable tracing with an endpoint for traces only', () => {
    const { tracing } = readConfig({ ...ENOUGH, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://example.com/v1/traces' });
    expect(tracing).not.to.equal(undefined);
  });

  it('disable tracing as specified, regardless of the others', () => {
    for (const off of [{ OTEL_SDK_DISABLED: 'True' }, { OTEL_TRACES_EXPORTER: 'none' }]) {
      expect(readConfig({ ...ON, ...off, OTEL_TRACES_SAMPLER: 'half' }).tracing).to.equal(undefined);
    }
  });

  it('have no effect without an endpoint', () => {
    expect(readConfig({ ...ENOUGH, OTEL_TRACES_SAMPLER: 'half' }).tracing).to.equal(undefined);
  });

  const wrong: [name: string, value: string, right: string][] = [
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector', 'a URL such as http://localhost:4318'],
    ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'grpc://collector:4317', 'a URL such as http://localhost:4318'],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc', 'http/protobuf, the only supported protocol'],
    [
      'OTEL_TRACES_SAMPLER',
      'half',
      'one of always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, parentbased_traceidratio',
    ],
    ['OTEL_TRACES_SAMPLER_ARG', '1.5', 'a share from 0 to 1'],
    ['OTEL_TRACES_SAMPLER_ARG', '10%', 'a share from 0 to 1'],
    ['OTEL_BSP_MAX_QUEUE_SIZE', '0', 'a whole number from 1 to 1000000'],
  ];
  for (const [name, value, right] of wrong) {
    it(`are refused if ${name} is ${value}, with what is valid`, () => {
      expect(complaints({ ...ON, [name]: value })).to.deep.equal([
        `${name} is ${JSON.stringify(value)}; it must be ${right}`,
      ]);
    });
  }
});

describe('WRITE_TOKEN', () => {
  it('is read from the secrets like the other variables', () => {
    expect(readConfig(ENOUGH, { WRITE_TOKEN: 'a-token-of-twenty-characters' }).writeToken).to.equal(
      'a-token-of-twenty-characters',
    );
  });

  for (const invalid of ['short', 'with blanks in it, and long enough', '=====================']) {
    it(`is refused, and not shown, if it could be guessed or is not a token: ${invalid}`, () => {
      expect(complaints({ ...ENOUGH, WRITE_TOKEN: invalid })).to.deep.equal([
        'WRITE_TOKEN is invalid; it must be a bearer token of at least 20 letters, digits or -._~+/',
      ]);
    });
  }
});

describe('secretsPath', () => {
  it('is undefined if the variable is not set', () => {
    expect(secretsPath({})).to.equal(undefined);
  });

  it('returns the path', () => {
    expect(secretsPath({ SECRETS_PATH: '/copilot/plusone/test/secrets' })).to.equal('/copilot/plusone/test/secrets');
  });

  for (const path of ['copilot/secrets', '/copilot/secrets/', '/', '/a b']) {
    it(`refuses ${JSON.stringify(path)} with a valid example`, () => {
      expect(() => secretsPath({ SECRETS_PATH: path })).to.throw(
        ConfigError,
        `SECRETS_PATH is ${JSON.stringify(path)}; it must be an SSM path such as /copilot/plusone/test/secrets`,
      );
    });
  }
});
