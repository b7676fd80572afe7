/** The result of checking one requirement of a make target. */
export interface Finding {
  /** Good; wrong: a command would fail; or a note. */
  readonly mark: '✓' | '✗' | '–';
  readonly says: string;
  /** What to type or do, line by line. */
  readonly remedy?: readonly string[];
}

export function good(says: string): Finding {
  return { mark: '✓', says };
}

export function wrong(says: string, ...remedy: string[]): Finding {
  return { mark: '✗', says, remedy };
}

export function note(says: string, ...remedy: string[]): Finding {
  return { mark: '–', says, remedy };
}

/** For a check that timed out on a busy machine. */
export function late({ message }: Error): Finding {
  return note(`unknown: ${message}`, 'run make doctor again when the machine is less busy');
}

/** The commands that install something: on Debian and Ubuntu, and on macOS. */
export interface Source {
  readonly debian: string;
  readonly macos: string;
}

/** The command for this machine; on another Linux, the one of Debian as an example. */
export function remedyHere({ debian, macos }: Source): string {
  if (process.platform === 'darwin') return `macOS: ${macos}`;
  // As root there is often no sudo, for example in a container.
  return `Debian, Ubuntu: ${process.getuid?.() === 0 ? debian.replaceAll('sudo ', '') : debian}`;
}
