import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { VARIABLES } from '../../src/config.ts';
import { anchors, code, links, parseMarkdown } from './markdown.ts';
import { README } from './readme.ts';

const files = globSync(['*.md', 'docs/**/*.md']).sort();
const documents = new Map(files.map((file) => [file, parseMarkdown(readFileSync(file, 'utf8'))]));

/** The matches of a pattern in the code of all documents, with their file. */
function named(pattern: RegExp): { file: string; name: string }[] {
  return [...documents].flatMap(([file, document]) =>
    code(document)
      .flatMap((line) => [...line.matchAll(pattern)])
      .map(([, name = '']) => ({ file, name })),
  );
}

/** The targets that `make help` of a Makefile lists. */
function targetsOf(makefile: string): string[] {
  const help = execFileSync('make', ['--no-print-directory', '-f', makefile, 'help'], { encoding: 'utf8' });
  return [...help.matchAll(/^ {2}(\S+) {2,}\S/gm)].map(([, target = '']) => target);
}

function targetExists(from: string, target: string): boolean {
  const [path = '', anchor] = target.split('#');
  const to = path === '' ? from : join(dirname(from), path);
  if (anchor === undefined) return existsSync(to);
  const document = documents.get(to);
  return document !== undefined && anchors(document).has(anchor);
}

describe('the documents', () => {
  it('mention only make targets that make help lists', () => {
    const targets = targetsOf('Makefile');
    // The tutorial is about a generated service.
    const ofTutorial = [...targets, ...targetsOf('tools/new/template/Makefile.template')];
    const wrong = named(/\bmake (?:[A-Z_]+=\S+ )*([a-z][\w-]*)/g).filter(
      ({ file, name }) => !(file === 'docs/tutorial.md' ? ofTutorial : targets).includes(name),
    );
    expect(wrong).to.deep.equal([]);
    expect(targets).to.include.members(['dev', 'test', 'up']);
  });

  it('mention only npm scripts that package.json has', () => {
    const { scripts }: { scripts: object } = JSON.parse(readFileSync('package.json', 'utf8'));
    const wrong = named(/\bnpm run (?:--silent )?([\w:-]+)/g).filter(({ name }) => !(name in scripts));
    expect(wrong).to.deep.equal([]);
  });

  it('link only to files and headings that exist', () => {
    const broken = [...documents].flatMap(([file, document]) =>
      links(document)
        .filter((target) => !/^(https?|mailto):/.test(target))
        .filter((target) => !targetExists(file, target))
        .map((target) => `${file}: ${target}`),
    );
    expect(broken).to.deep.equal([]);
  });

  it('describe every folder', () => {
    const folders = readdirSync('.', { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && /^(?!\.|node_modules$)/.test(entry.name))
      .map(({ name }) => name);
    expect(folders.filter((folder) => !README.prose.includes(`[\`${folder}/\`](${folder})`))).to.deep.equal([]);
  });

  it('show every picture in docs/', () => {
    const shown = [...documents].flatMap(([file, document]) =>
      links(document)
        .filter((target) => /\.(svg|png)$/.test(target) && !target.includes(':'))
        .map((target) => join(dirname(file), target)),
    );
    expect(globSync('docs/**/*.{svg,png}').filter((picture) => !shown.includes(picture))).to.deep.equal([]);
  });
});

describe('the configuration table', () => {
  const text = README.prose.slice(README.prose.indexOf('\n## Configuration'));
  const section = text.slice(0, text.indexOf('\n## ', 1));
  const rows = [...section.matchAll(/^\| (`.+?) \| .* \| (.+) \|$/gm)].map(([, names = '', value = '']) => ({
    names: [...names.matchAll(/`(\w+)`/g)].map(([, name = '']) => name),
    value,
  }));

  it('has the variables of src/config.ts, in the same order', () => {
    expect(rows.flatMap(({ names }) => names)).to.deep.equal(Object.keys(VARIABLES));
  });

  it('has the defaults of src/config.ts', () => {
    const documented = rows.flatMap(({ names, value }) =>
      names.map((name) => [name, value.replaceAll('`', '').replace(/:.*/, '')]),
    );
    const read = Object.entries(VARIABLES).map(([name, variable]) => {
      const { success, data } = variable.safeParse(undefined);
      return [name, success ? String(data ?? 'none') : 'must be set'];
    });
    expect(documented).to.deep.equal(read);
  });
});
