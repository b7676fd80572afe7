/** What came of a look at one thing that a make target needs. */
export interface Finding {
  /** Good; wrong, so that something would fail; or worth a word, and no hindrance. */
  readonly mark: '✓' | '✗' | '–';
  readonly says: string;
  /** What to type, or to do otherwise, line by line. */
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

/** For what a busy machine did not get to: nothing is known to be wrong. */
export function late({ message }: Error): Finding {
  return note(`unknown: ${message}`, 'make doctor again, when less is going on');
}

/** How to get something here: one line for Debian and Ubuntu, one for macOS. */
export interface Source {
  readonly debian: string;
  readonly macos: string;
}

/** That of this machine. On another Linux it shows at least what is meant. */
export function remedyHere({ debian, macos }: Source): string {
  if (process.platform === 'darwin') return `macOS: ${macos}`;
  // Root has often no sudo, as in a container.
  return `Debian, Ubuntu: ${process.getuid?.() === 0 ? debian.replaceAll('sudo ', '') : debian}`;
}
