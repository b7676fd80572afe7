import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect } from 'chai';

/** Prints progress and runs programs for all commands, so it lies below every folder that has one. */
const TERMINAL = 'tools/terminal';

/** The folders that the files of a folder may import from, besides their own: docs/decisions/13-folders.md. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  src: [],
  functions: [],
  manifest: [],
  [TERMINAL]: [],
  k8s: ['manifest', TERMINAL],
  eject: ['k8s', 'manifest', TERMINAL],
  'local-kind': ['k8s', 'manifest', TERMINAL],
  tools: ['local-kind', 'eject', 'k8s', 'manifest', 'functions', 'src', TERMINAL],
  test: ['tools', 'local-kind', 'eject', 'k8s', 'manifest', 'functions', 'src', TERMINAL],
};

/** Import and export declarations, and `import('…')`; Biome keeps the quotes as they are here. */
const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*'(\.[^']+)'/g;

const files = globSync('**/*.ts', { exclude: (path) => /(^|\/)(node_modules|dist|\.[^/]+)$/.test(path) });
const imports = new Map(files.map((file) => [file, importsOf(file)]));
const edges = [...imports].flatMap(([from, targets]) => targets.map((to) => ({ from, to })));

/** The files of this repository that a file imports, values and types alike. */
function importsOf(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(IMPORT)]
    .map(([, path = '']) => normalize(join(dirname(file), path)))
    .filter((path) => files.includes(path));
}

function topFolder(file: string): string {
  return file.startsWith(`${TERMINAL}/`) ? TERMINAL : (file.split('/')[0] ?? '');
}

/** The first cycle in a graph as the names along it, the first of them again at the end; undefined when there is none. */
function cycle(graph: ReadonlyMap<string, Iterable<string>>): string[] | undefined {
  const done = new Set<string>();
  function visit(node: string, path: readonly string[]): string[] | undefined {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node];
    if (done.has(node)) return undefined;
    for (const next of graph.get(node) ?? []) {
      const found = visit(next, [...path, node]);
      if (found) return found;
    }
    done.add(node);
    return undefined;
  }
  return [...graph.keys()].map((node) => visit(node, [])).find((found) => found !== undefined);
}

/** The imports between what lies directly in one folder: its files, and its subfolders each as a whole. */
function graphInside(folder: string): Map<string, Set<string>> {
  const child = (file: string) => {
    if (folder === '.') return topFolder(file);
    return file.startsWith(`${folder}/`) && topFolder(file) === topFolder(`${folder}/`)
      ? file.slice(folder.length + 1).split('/')[0]
      : undefined;
  };
  const graph = new Map<string, Set<string>>();
  for (const { from, to } of edges) {
    const [one, other] = [child(from), child(to)];
    if (one === undefined || other === undefined || one === other) continue;
    graph.set(one, (graph.get(one) ?? new Set()).add(other));
  }
  return graph;
}

describe('The imports of the repository', () => {
  it('form no cycle of files', () => {
    expect(cycle(imports)?.join(' → ')).to.equal(undefined);
  });

  it('form no cycle of the files and folders inside any folder', () => {
    const folders = new Set(['.', ...files.flatMap((file) => foldersAbove(file))]);
    const cycles = [...folders].flatMap((folder) => {
      const found = cycle(graphInside(folder));
      return found ? [`${folder}: ${found.join(' → ')}`] : [];
    });
    expect(cycles).to.deep.equal([]);
  });

  it('lead only to lower layers, and to test/ only from tests', () => {
    const wrong = edges.filter(({ from, to }) => {
      const [one, other] = [topFolder(from), topFolder(to)];
      return one !== other && MAY_IMPORT[one]?.includes(other) !== true;
    });
    expect(wrong).to.deep.equal([]);
  });

  it('use HTTP in users/ only from its routes, and users/ neither from HTTP, the database nor main.ts', () => {
    const wrong = edges.filter(
      ({ from, to }) =>
        (from.startsWith('src/users/') && from !== 'src/users/routes.ts' && to.startsWith('src/http/')) ||
        (/^src\/(http|database)\//.test(from) && to.startsWith('src/users/')) ||
        (/^src\/(main|run).ts$/.test(from) && to.startsWith('src/http/')) ||
        (/^src\/(http-)?server.ts$/.test(from) && to === 'src/operations/shutdown.ts'),
    );
    expect(wrong).to.deep.equal([]);
  });

  it('use Objection only in the store and in models', () => {
    const naming = files.filter((file) => file.startsWith('src/') && /'objection'/.test(readFileSync(file, 'utf8')));
    expect(naming.toSorted()).to.deep.equal(['src/database/store.ts', 'src/users/user.ts']);
  });
});

function foldersAbove(file: string): string[] {
  const folder = dirname(file);
  return folder === '.' ? [] : [folder, ...foldersAbove(folder)];
}
