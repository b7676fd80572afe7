/** Checks of this machine: Node, a browser, disk, memory, and those of Docker. */
import { existsSync, statfsSync } from 'node:fs';
import { hostname, tmpdir, totalmem } from 'node:os';
import { availableMemory } from 'node:process';
import { fileURLToPath } from 'node:url';
import { type Finding, good, note, type Source, wrong } from '../terminal/finding.ts';
import { Failed, output } from '../terminal/programs.ts';

const GB = 1e9;
/** The dependencies take 0.4 GB, a private database 0.2 GB. */
const DISK = 1 * GB;
const MEMORY = 0.5 * GB;
/** The images of the node, MySQL, the AWS emulator and the service, and the node's copies of them. */
const DOCKER_DISK = 4 * GB;
/** Kubernetes, MySQL and two pods take 1.5 GB; building the image needs the rest. */
const DOCKER_MEMORY = 2.5 * GB;

const NODE = fileURLToPath(new URL('./node.sh', import.meta.url));

/** Checks Node and npm as the Makefile does before everything else. */
export async function lookAtNode(): Promise<Finding> {
  try {
    return good(await output('/bin/sh', [NODE]));
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    const [says = '', ...remedy] = error.stderr.split('\n');
    return wrong(says, ...remedy.map((line) => line.trim()));
  }
}

const BROWSERS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export const chromium: Source = {
  debian: 'sudo apt-get install chromium  (Ubuntu: chromium-browser)',
  macos:
    'brew install --cask google-chrome, and CHROMIUM="/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" make test',
};

/** The path of Chromium on this machine, or undefined; the variable CHROMIUM overrides it. */
export function findChromium(): string | undefined {
  return process.env.CHROMIUM || BROWSERS.find((path) => existsSync(path));
}

/** Checks the free disk space of this folder and of the temporary one. */
export function lookAtDisk(): Finding {
  const folder = freeDisk(tmpdir()) < freeDisk('.') ? tmpdir() : '.';
  const free = freeDisk(folder);
  const says = `${show(free)} free ${folder === '.' ? 'here' : `in ${folder}`}`;
  return free >= DISK
    ? good(says)
    : wrong(`${says}; ${show(DISK)} is needed`, 'free disk space, or set TMPDIR to another disk');
}

export function lookAtMemory(): Finding {
  // macOS counts memory that it uses as a cache as used.
  if (process.platform === 'darwin') return good(`${show(totalmem())} in all`);
  const free = availableMemory();
  if (free >= MEMORY) return good(`${show(free)} free`);
  return wrong(`${show(free)} free; ${show(MEMORY)} is needed`, 'end a process: ps aux --sort -rss | head');
}

/** Checks the disk space and memory of Docker's engine, within `limitMilliseconds`. */
export async function lookAtDockerRoom(limitMilliseconds: number): Promise<Finding> {
  const format = '{{.Name}}\t{{.DockerRootDir}}\t{{.MemTotal}}';
  const answer = await output('docker', ['info', '--format', format], { limitMilliseconds }).catch(withoutDocker);
  if (typeof answer !== 'string') return answer;
  const [name = '', folder = '', total = ''] = answer.split('\t');
  const memory = Number(total);
  const raise = process.platform === 'darwin' ? 'Docker Desktop: Settings, Resources' : 'use a larger machine';
  if (memory < DOCKER_MEMORY) return wrong(`${show(memory)} of memory; ${show(DOCKER_MEMORY)} is needed`, raise);
  // The disk of an engine in a virtual machine or on another host cannot be checked from here.
  if (name !== hostname()) return good(`${show(memory)} of memory, disk unknown (docker system df)`);
  const free = freeDisk(folder);
  if (free >= DOCKER_DISK) return good(`${show(free)} of disk free, ${show(memory)} of memory`);
  return wrong(`${show(free)} of disk free; ${show(DOCKER_DISK)} is needed`, 'docker system prune --all');
}

/** The finding for an error of Docker; rethrows if Docker only took too long. */
export function withoutDocker(error: unknown): Finding {
  if (error instanceof Failed && !error.isLate) return note('unknown without Docker');
  throw error;
}

function freeDisk(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

function show(bytes: number): string {
  return `${(bytes / GB).toFixed(bytes < 10 * GB ? 1 : 0)} GB`;
}
