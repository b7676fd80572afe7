/** A fenced block of code. */
export interface Block {
  /** The text of the heading above it. */
  readonly heading: string;
  readonly language: string;
  readonly text: string;
}

/** The parts of a Markdown text that these tests use. */
export interface Document {
  readonly headings: readonly string[];
  readonly blocks: readonly Block[];
  /** All lines outside of blocks. */
  readonly prose: string;
}

/** Parses a Markdown text. Blocks may be indented, as in a list. Throws an Error for a block that is not closed. */
export function parseMarkdown(markdown: string): Document {
  const headings: string[] = [];
  const blocks: Block[] = [];
  const prose: string[] = [];
  let open: { language: string; indent: number; lines: string[] } | undefined;

  for (const line of markdown.split('\n')) {
    const [, indent = '', language] = /^( *)```(\w*)$/.exec(line) ?? [];
    if (language === undefined) {
      if (open) {
        open.lines.push(line.slice(open.indent));
        continue;
      }
      const [, heading] = /^#+ (.+)$/.exec(line) ?? [];
      if (heading !== undefined) headings.push(heading);
      prose.push(line);
    } else if (open) {
      blocks.push({ heading: headings.at(-1) ?? '', language: open.language, text: open.lines.join('\n') });
      open = undefined;
    } else {
      open = { language, indent: indent.length, lines: [] };
    }
  }
  if (open) throw new Error(`a block of ${open.language || 'code'} is not closed: ${open.lines[0]}`);
  return { headings, blocks, prose: prose.join('\n') };
}

/** The targets of all links and pictures. */
export function links({ prose }: Document): string[] {
  const text = prose.replaceAll(/`[^`\n]*`/g, '`');
  const targets = [...text.matchAll(/\]\(([^()\s]+)\)|\b(?:src|href|srcset)="([^"]+)"/g)];
  return targets.map(([, markdown, html]) => markdown ?? html ?? '');
}

/** The anchors of all headings, by the rules of https://github.com/Flet/github-slugger */
export function anchors({ headings }: Document): Set<string> {
  const found = new Set<string>();
  for (const heading of headings) {
    const plain = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1');
    const slug = plain
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M}\s_-]/gu, '')
      .replaceAll(' ', '-');
    let anchor = slug;
    for (let again = 1; found.has(anchor); again++) anchor = `${slug}-${again}`;
    found.add(anchor);
  }
  return found;
}

/** All code, line by line: blocks, and code spans in the text. */
export function code({ blocks, prose }: Document): string[] {
  const spans = [...prose.matchAll(/`([^`\n]+)`/g)].map(([, span]) => span ?? '');
  return [...blocks.flatMap(({ text }) => text.split('\n')), ...spans];
}

/** The commands of a shell block, one per line, without comments. */
export function commands({ text }: Block): string[] {
  return text
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .map((line) => line.replace(/(^|\s+)#.*$/, '').trim())
    .filter((line) => line !== '');
}
