/** The files of a generated service: those of the template, with its own names and fields. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { COLUMNS, columnOf, type Field, parseFields } from './fields.ts';
import { databaseOf, pluralOf } from './names.ts';
import type { Files, Project, Resource } from './project.ts';

const TEMPLATE = fileURLToPath(new URL('./template', import.meta.url));
/** The file would have an effect where the template is. */
const SUFFIX = '.template';
const LINE_WIDTH = 120;

/** The files of the whole service. `vendored` are the tarballs in vendor/, by their package's name. */
export function render(project: Project, vendored: Readonly<Record<string, string>>): Files {
  const [first, ...others] = project.resources;
  if (first === undefined) throw new Error('a service has at least one resource');
  const all = filesOf(project, first, vendored);
  return others.reduce<Files>((files, resource) => withResource(files, project, resource), all);
}

/**
 * These files with those of one more resource, in the lists of resources and migrations too.
 * A list that was edited beyond recognition stays as it is.
 */
export function withResource(files: Files, project: Project, resource: Resource): Files {
  const own = [...filesOf(project, resource, {})].filter(([path]) => belongsTo(path, resource));
  const plural = pluralOf(resource.name);
  const migration = `${resource.created}_create_${plural}`;
  const edited = new Map([...files, ...own]);
  const edit = (path: string, change: (text: string) => string) => {
    const text = edited.get(path);
    if (text !== undefined) edited.set(path, change(text));
  };
  edit('src/resources.ts', (text) => {
    const list = /^(export const RESOURCES\b[^=]*= )\[([^\]]*)\];$/m;
    if (!list.test(text)) return text;
    const named = text.replace(list, (_match, start: string, names: string) => {
      const next = [...names.split(',').map((name) => name.trim()), plural].filter(Boolean);
      const line = `${start}[${next.join(', ')}];`;
      return line.length <= LINE_WIDTH ? line : `${start}[\n${next.map((name) => `  ${name},\n`).join('')}];`;
    });
    return withImport(named, `import { ${plural} } from './${plural}/routes.ts';`);
  });
  edit('src/migrations/index.ts', (text) => {
    const list = /^(export const MIGRATIONS\b[^=]*= \{\n(?:.*\n)*?)\};$/m;
    if (!list.test(text)) return text;
    const name = `create${capitalised(plural)}`;
    const named = text.replace(list, (_match, start: string) => `${start}  '${migration}': ${name},\n};`);
    return withImport(named, `import * as ${name} from './${migration}.ts';`);
  });
  return edited;
}

/** Whether both lists name the resource, as the service needs it. */
export function isListed(files: Files, resource: Resource): boolean {
  const plural = pluralOf(resource.name);
  return (
    files.get('src/resources.ts')?.includes(`'./${plural}/routes.ts'`) === true &&
    files.get('src/migrations/index.ts')?.includes(`${resource.created}_create_${plural}`) === true
  );
}

/** The text with one more import of a file, where the order of paths has it. */
function withImport(text: string, line: string): string {
  if (text.includes(line)) return text;
  const lines = text.split('\n');
  const path = (of: string) => /from '(\.[^']*)'/.exec(of)?.[1];
  const next = lines.findIndex((one) => one.startsWith('import ') && (path(one) ?? '') > (path(line) ?? ''));
  const last = lines.findLastIndex((one) => path(one) !== undefined && /^(import |\} from)/.test(one));
  lines.splice(next === -1 ? last + 1 : next, 0, line);
  return lines.join('\n');
}

/** Whether a path is in the folders of the resource, or one of its files. */
function belongsTo(path: string, resource: Resource): boolean {
  const plural = pluralOf(resource.name);
  return (
    path.startsWith(`src/${plural}/`) ||
    path.startsWith(`test/${plural}/`) ||
    path === `test/integration/${plural}.test.ts` ||
    path === `src/migrations/${resource.created}_create_${plural}.ts`
  );
}

function filesOf(project: Project, resource: Resource, vendored: Readonly<Record<string, string>>): Files {
  const { name, port } = project;
  const plural = pluralOf(resource.name);
  const words: Readonly<Record<string, string>> = {
    'widget-service': name,
    widget_service: databaseOf(name),
    Widgets: capitalised(plural),
    Widget: capitalised(resource.name),
    widgets: plural,
    widget: resource.name,
    5000: String(port),
    20260101000000: resource.created,
    ...Object.fromEntries(Object.entries(vendored).map(([of, file]) => [`vendor/${of}.tgz`, `vendor/${file}`])),
  };
  // All at once: a name may contain one of the words.
  const word = new RegExp(
    Object.keys(words)
      .map((key) => (/^\d+$/.test(key) ? `(?<!\\d)${key}(?!\\d)` : key.replaceAll('.', '\\.')))
      .toSorted((one, other) => other.length - one.length)
      .join('|'),
    'g',
  );
  const named = (text: string) => text.replace(word, (found) => words[found] ?? found);
  const fields = parseFields(resource.fields);
  return new Map(
    templateFiles().map((path) => {
      const text = withFields(path, readFileSync(join(TEMPLATE, path), 'utf8'), fields);
      return [named(path.endsWith(SUFFIX) ? path.slice(0, -SUFFIX.length) : path), named(text)];
    }),
  );
}

function templateFiles(): string[] {
  return readdirSync(TEMPLATE, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) =>
      join(parentPath, name)
        .slice(TEMPLATE.length + 1)
        .replaceAll(sep, '/'),
    )
    .toSorted();
}

/** The template has one field, `label`, in three lines. */
function withFields(path: string, text: string, fields: readonly Field[]): string {
  if (path === 'src/widgets/schema.ts') {
    const imported = [...new Set(['fields', ...fields.map(({ type }) => type)])].toSorted();
    const lines = fields.map(({ name, type, optional }) => `  ${name}: ${type}()${optional ? '.optional()' : ''},`);
    return replaced(
      replaced(text, '{ fields, text }', `{ ${imported.join(', ')} }`),
      '  label: text(),',
      lines.join('\n'),
    );
  }
  if (path.startsWith('src/migrations/') && path.includes('_create_')) {
    const columns = fields.map(
      ({ name, type, optional }) => `      ${columnOf(name)} ${COLUMNS[type]} ${optional ? 'NULL' : 'NOT NULL'}`,
    );
    return replaced(text, `      label ${COLUMNS.text} NOT NULL`, columns.join(',\n'));
  }
  return text;
}

function replaced(text: string, from: string, to: string): string {
  if (!text.includes(from)) throw new Error(`the template does not contain ${from}`);
  return text.replace(from, () => to);
}

const capitalised = (word: string) => `${word.slice(0, 1).toUpperCase()}${word.slice(1)}`;
