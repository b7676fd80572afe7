import { spawnSync } from 'node:child_process';
import { expect } from 'chai';

describe('npm run drill', function () {
  this.timeout(120_000);

  it('does not depend on the variables of its shell', () => {
    const surprising = {
      ...{ YES: '1', ENV: 'prod', DOMAIN: 'example.org', TAG: 'x', CLUSTER: 'nowhere', PORT: '1', METRICS_PORT: '1' },
      ...{ DATABASE_HOST: 'nowhere', DATABASE_PORT: '1', DATABASE_PASSWORD: 'x', DATABASE_TLS: 'on' },
      ...{ OTEL_EXPORTER_OTLP_ENDPOINT: 'nonsense', OTEL_TRACES_SAMPLER: 'nonsense', LOG_LEVEL: 'nonsense' },
      ...{ WRITE_TOKEN: 'short', SECRETS_PATH: 'nonsense', SHUTDOWN_GRACE_SECONDS: 'x', TZ: 'Pacific/Kiritimati' },
      ...{ NODE_OPTIONS: '--throw-deprecation --stack-trace-limit=3' },
    };
    const args = ['tools/drills/main.ts', 'database-read-only', '--target', 'process', '--quick'];
    const env = { ...process.env, ...surprising };
    const { stdout, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
    // Whether it passes depends on the machine; that requests were answered doesn't.
    expect(stdout, stderr).to.match(/^1 drills run/m);
    expect(stdout).to.match(/[1-9]\d* ok, .* 0 wrong/);
  });
});
