import { SECRET_FILE } from './secret-file.ts';

/** Messages of Kubernetes and Docker, and their causes in terms of the manifest. */
const causes: readonly (readonly [sign: RegExp, cause: string])[] = [
  [
    /unable to find user (\S+):/,
    'the image has no user "$1": check USER in the Dockerfile and overrides/cfn.patches.yml',
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
  [/secret "(\S+)" not found/, `the Secret $1 does not exist: fill in ${SECRET_FILE}`],
  [
    /(?:exec: )?"([^"]+)": (?:executable file not found|stat .*no such file)/,
    'the image has no program "$1": check command and entrypoint in the manifest',
  ],
  [/exec format error/, 'the image is built for another CPU architecture'],
  [/exec \S+: permission denied/, 'the program of the image is not executable for its user'],
  [
    /probe failed: HTTP probe failed with statuscode: (\d+)/,
    'its health check answers $1: check http.healthcheck in the manifest',
  ],
  [/probe failed: .*connection refused/, 'nothing listens on the port of its health check: check image.port'],
  [/Cannot find module '([^']+)'/, 'the image has no $1: check command in the manifest and COPY in the Dockerfile'],
  [
    /Unable to connect to the server|connection to the server \S+ was refused/,
    'the cluster is stopped or paused: plusone up starts it again',
  ],
  [/^(SyntaxError: .+)$/m, 'its program does not parse: $1'],
  [/OOMKilled/, 'it exceeded its memory limit: `memory` in the manifest'],
  [
    /ImagePullBackOff|ErrImagePull/,
    'the cluster cannot pull the image: run docker pull on this machine, or log in to its registry',
  ],
  [
    /failed to calculate checksum of ref \S+: "\/?([^"]+)": not found/,
    'the build context has no $1: it is the folder of the Dockerfile unless image.build.context names another',
  ],
  [/failed to read dockerfile: open (\S+): no such file/, 'there is no $1: check image.build in the manifest'],
  [/EADDRINUSE/, 'two of its containers listen on the same port'],
  [
    /EACCES.*\b(80|443)\b|bind\(\).*:80.*Permission denied/i,
    'a port below 1024 needs root, and it does not run as root',
  ],
  [/EROFS|Read-only file system/i, 'it writes to a read-only root file system: storage.readonly_fs'],
  [/ECONNREFUSED|Connection refused/i, 'a connection was refused: check the addresses in its variables'],
  [/ENOTFOUND (\S+)|getaddrinfo .*?(\S+)$/m, 'a host name does not resolve: $1'],
  [/Insufficient (cpu|memory)/, 'this machine has too little free $1 for it'],
  [/no space left on device/i, 'the disk is full: docker system prune removes unused data'],
];

/** The message of a failure, with its likely cause as a last line if it matches a known one. */
export function withLikelyCause(message: string): string {
  const cause = likelyCause(message);
  return cause === undefined ? message : `${message}\nlikely cause: ${cause}`;
}

/** The likely cause of a failure as text; undefined if its output does not match a known cause. */
export function likelyCause(text: string): string | undefined {
  for (const [sign, cause] of causes) {
    const found = sign.exec(text);
    if (found) return cause.replaceAll(/\$(\d)/g, (_match, group: string) => found[Number(group)] ?? '');
  }
  return undefined;
}
