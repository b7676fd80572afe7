import { SECRET_FILE } from './secret-file.ts';

/** Messages of Kubernetes and Docker, and their causes in terms of the manifest. */
const causes: readonly (readonly [sign: RegExp, cause: string])[] = [
  [
    /unable to find user (\S+):/,
    'the image has no user "$1": look at USER in the Dockerfile and at overrides/cfn.patches.yml',
  ],
  [
    /runAsNonRoot and image will run as root/,
    'the image runs as root, which the namespace forbids: give the Dockerfile a numeric USER',
  ],
  [
    /runAsNonRoot and image has non-numeric user \((\S+)\)/,
    'USER $1 of the image is a name: Kubernetes needs its number in the Dockerfile',
  ],
  [/couldn't find key (\S+) in Secret/, `$1 is not in ${SECRET_FILE}`],
  [/secret "(\S+)" not found/, `the Secret $1 is not there: fill in ${SECRET_FILE}`],
  [
    /(?:exec: )?"([^"]+)": (?:executable file not found|stat .*no such file)/,
    'the image has no program "$1": look at command and entrypoint of the manifest',
  ],
  [/exec format error/, 'the image is built for another processor'],
  [/exec \S+: permission denied/, 'the program of the image is not executable, or not for its user'],
  [
    /probe failed: HTTP probe failed with statuscode: (\d+)/,
    'its health check answers $1: look at http.healthcheck of the manifest',
  ],
  [/probe failed: .*connection refused/, 'nothing listens on the port of its health check: look at image.port'],
  [/Cannot find module '([^']+)'/, 'the image has no $1: look at command of the manifest and COPY of the Dockerfile'],
  [
    /Unable to connect to the server|connection to the server \S+ was refused/,
    'the cluster is stopped or paused: plusone up starts it again',
  ],
  [/^(SyntaxError: .+)$/m, 'its program does not parse: $1'],
  [/OOMKilled/, 'it took more memory than `memory` of the manifest gives it'],
  [
    /ImagePullBackOff|ErrImagePull/,
    'the cluster cannot pull the image: docker pull it here, or log in to its registry',
  ],
  [
    /failed to calculate checksum of ref \S+: "\/?([^"]+)": not found/,
    'the build context has no $1: it is the folder of the Dockerfile unless image.build.context names another',
  ],
  [/failed to read dockerfile: open (\S+): no such file/, 'there is no $1: look at image.build of the manifest'],
  [/EADDRINUSE/, 'two of its containers listen on one port'],
  [
    /EACCES.*\b(80|443)\b|bind\(\).*:80.*Permission denied/i,
    'it may not listen on a port below 1024: it does not run as root',
  ],
  [/EROFS|Read-only file system/i, 'it writes to a root file system that is read-only: storage.readonly_fs'],
  [/ECONNREFUSED|Connection refused/i, 'something that it connects to does not answer: look at its variables'],
  [/ENOTFOUND (\S+)|getaddrinfo .*?(\S+)$/m, 'it asks for a name that is not there: $1'],
  [/Insufficient (cpu|memory)/, 'this machine has not enough $1 for it'],
  [/no space left on device/i, 'the disk is full: docker system prune frees what no image needs'],
];

/** The likely cause of a failure, in words; undefined where its text gives none away. */
export function likelyCause(text: string): string | undefined {
  for (const [sign, cause] of causes) {
    const found = sign.exec(text);
    if (found) return cause.replaceAll(/\$(\d)/g, (_match, group: string) => found[Number(group)] ?? '');
  }
  return undefined;
}
