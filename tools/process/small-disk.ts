import { mkdirSync, rmSync, statfsSync } from 'node:fs';
import { run } from '../terminal/programs.ts';

const MEBIBYTE = 1024 * 1024;
const ATTEMPTS = 20;

/** A file system of its own, for a server whose disk is to be full. */
export interface SmallDisk {
  readonly directory: string;
  /** Leaves no space. */
  fill(): Promise<void>;
  /** Makes the disk as large as it was. */
  makeRoom(): Promise<void>;
  /** Unmounts and removes the directory. */
  remove(): Promise<void>;
}

/** Creates `directory` and mounts a file system in memory there, of so many MiB. Needs root. */
export async function mountSmallDisk(directory: string, mebibytes: number): Promise<SmallDisk> {
  mkdirSync(directory);
  await run('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'plusone-drill', directory]);
  const resize = async (bytes: number) => await run('mount', ['-o', `remount,size=${bytes}`, directory]);
  return {
    directory,
    async fill() {
      for (let attempt = 1; ; attempt += 1) {
        const { blocks, bfree, bsize } = statfsSync(directory);
        try {
          await resize((blocks - bfree) * bsize);
          return;
        } catch (error) {
          // The server has taken more meanwhile, and no file system becomes smaller than its files.
          if (attempt === ATTEMPTS) throw error;
        }
      }
    },
    async makeRoom() {
      await resize(mebibytes * MEBIBYTE);
    },
    async remove() {
      await run('umount', [directory]);
      rmSync(directory, { recursive: true });
    },
  };
}
