/** Certificates for tests and drills, made with openssl. They are valid for a day, unless asked otherwise. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { output } from '../terminal/programs.ts';

/** The paths of a certificate and of its private key, both PEM. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/**
 * Makes a certificate authority in `directory`.
 * @throws {Failed} whose `isMissing` is true if this machine has no openssl
 */
export async function makeAuthority(directory: string, name: string): Promise<Certificate> {
  const made = pathsOf(directory, name);
  const files = ['-keyout', made.key, '-out', made.certificate];
  await output('openssl', ['req', '-x509', ...NEW_KEY, ...files, '-days', '1', '-subj', `/CN=${name}`]);
  return made;
}

/** Makes a server's certificate of `authority` in `directory`; `host` is its subject alternative name, as `DNS:localhost`. */
export async function issueCertificate(
  authority: Certificate,
  directory: string,
  name: string,
  host: string,
  days = 1,
): Promise<Certificate> {
  const made = pathsOf(directory, name);
  const [request, extensions] = [join(directory, `${name}.request`), join(directory, `${name}.extensions`)];
  await output('openssl', ['req', ...NEW_KEY, '-keyout', made.key, '-out', request, '-subj', `/CN=${name}`]);
  writeFileSync(extensions, `subjectAltName=${host}`);
  await output('openssl', [
    ...['x509', '-req', '-in', request, '-CA', authority.certificate, '-CAkey', authority.key, '-CAcreateserial'],
    ...['-out', made.certificate, '-days', String(days), '-extfile', extensions],
  ]);
  return made;
}

function pathsOf(directory: string, name: string): Certificate {
  return { certificate: join(directory, `${name}.pem`), key: join(directory, `${name}.key`) };
}
