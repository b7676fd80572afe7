interface Stage {
  name: string | undefined;
  base: string;
  user: string | undefined;
}

/**
 * The user that the image of a Dockerfile runs as: the last `USER` of the stage that is built, or of the stage that it
 * is based on, with build arguments replaced and without the group; undefined if no stage of the file names one. The
 * user of a base image is not in the file. https://docs.docker.com/reference/dockerfile/#user
 */
export function dockerfileUser(
  text: string,
  target?: string,
  buildArguments: Readonly<Record<string, string>> = {},
): string | undefined {
  const stages: Stage[] = [];
  const known = new Map(Object.entries(buildArguments));
  for (const line of instructions(text)) {
    const [, word = '', rest = ''] = /^\s*(\w+)\s+(.*)$/s.exec(line) ?? [];
    const instruction = word.toUpperCase();
    const stage = stages.at(-1);
    if (instruction === 'FROM') {
      const [base = '', , name] = substitute(rest, known)
        .split(/\s+/)
        .filter((part) => part && !part.startsWith('--'));
      stages.push({ base: base.toLowerCase(), name: name?.toLowerCase(), user: undefined });
    } else if (instruction === 'ARG' || instruction === 'ENV') {
      for (const [, name = '', quoted, bare] of rest.matchAll(/([A-Za-z_]\w*)=(?:"([^"]*)"|(\S*))/g)) {
        const given = instruction === 'ARG' && name in buildArguments;
        if (!given) known.set(name, substitute(quoted ?? bare ?? '', known));
      }
    } else if (instruction === 'USER' && stage) {
      stage.user = substitute(rest.trim(), known).replaceAll(/["']/g, '').split(':')[0];
    }
  }
  const wanted = target?.toLowerCase();
  const last = stages.findIndex(({ name }, i) => name === wanted || String(i) === wanted);
  return userOf(stages, wanted === undefined ? stages.length - 1 : last);
}

function userOf(stages: readonly Stage[], index: number): string | undefined {
  const stage = stages[index];
  if (!stage || stage.user) return stage?.user;
  const below = stages.slice(0, index).findLastIndex(({ name }) => name === stage.base);
  return below < 0 ? undefined : userOf(stages, below);
}

/** The instructions, each on one line: without comments and without the bodies of here-documents. */
function instructions(text: string): string[] {
  const found: string[] = [];
  let open = '';
  let ends: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    const [end, ...others] = ends;
    if (end !== undefined) {
      if (line.trim() === end) ends = others;
      continue;
    }
    if (/^\s*#/.test(line) || (open && line.trim() === '')) continue;
    const continued = /^(.*)\\\s*$/.exec(line)?.[1];
    open += continued ?? line;
    if (continued !== undefined) continue;
    if (/^\s*(run|copy|add)\s/i.test(open))
      ends = [...open.matchAll(/<<-?["']?(\w+)["']?/g)].map(([, word = '']) => word);
    found.push(open);
    open = '';
  }
  return open ? [...found, open] : found;
}

function substitute(text: string, values: ReadonlyMap<string, string>): string {
  return text.replaceAll(
    /\$(?:(\w+)|\{(\w+)(?::-([^}]*))?\})/g,
    (match, bare?: string, braced?: string, fallback?: string) => values.get(bare ?? braced ?? '') ?? fallback ?? match,
  );
}
