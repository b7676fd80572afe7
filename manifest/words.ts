/**
 * A command line split into words as a shell would, without expanding anything: the way Copilot reads a `command` or
 * `entrypoint` that is one text (https://github.com/google/shlex). Undefined when a quote or an escape has no end.
 */
export function splitWords(line: string): string[] | undefined {
  const words: string[] = [];
  let rest = line.trimStart();
  while (rest && !rest.startsWith('#')) {
    const [word] = /^(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|[^\s'"\\])*/s.exec(rest) ?? [''];
    rest = rest.slice(word.length);
    if (rest && !/^\s/.test(rest)) return undefined;
    words.push(word.replaceAll(/\\(.)|'([^']*)'|"((?:\\.|[^"\\])*)"/gs, unquote));
    rest = rest.trimStart();
  }
  return words;
}

function unquote(_match: string, escaped?: string, single?: string, double?: string): string {
  return escaped ?? single ?? double?.replaceAll(/\\(.)/gs, '$1') ?? '';
}
