import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { parseDocument } from 'yaml';
import { type Inventory, parseInventory } from '../../eject/inventory.ts';
import { mapRelease } from '../../eject/release.ts';
import { isSame, mapOf, Template, textOf, type Value, type ValueMap } from '../../eject/template.ts';
import { detach, drop, retain } from '../../eject/transform.ts';
import { readManifest } from '../../manifest/manifest.ts';

/** A workspace that the real copilot packages. */
export interface Packaged {
  readonly folder: string;
  readonly application: string;
  readonly environment: string;
  readonly copilot: (...words: string[]) => void;
}

/** An edit of a manifest: values by their paths, of which `undefined` removes a field. */
export type Edit = Readonly<Record<string, unknown>>;

/**
 * Expects of each edit of a manifest that its release has the template and the parameters that `copilot package` gives,
 * both without custom resources. `base` is the manifest before the edits.
 */
export function expectSameAsCopilot(
  { folder, application, environment, copilot }: Packaged,
  kind: 'svc' | 'job',
  name: string,
  base: string,
  edits: readonly Edit[],
): void {
  const inventory = parseInventory(readFileSync(join(folder, 'ejected', environment, 'inventory.json'), 'utf8'));
  const { priorities } = inventory.stacks.find(({ workload }) => workload === name) ?? expect.fail(`no ${name}`);
  const facts = { application, environment, environmentExports: exportsOf(inventory), priorities, physicalIds: {} };
  const file = join(folder, 'copilot', name, 'manifest.yml');
  const original = readFileSync(file, 'utf8');
  const read = (text: string) => readManifest(text, file, { application, environment, shell: {} }).fields;
  const packaged = (text: string) => {
    writeFileSync(file, text);
    const output = mkdtempSync(join(folder, 'package-'));
    copilot(kind, 'package', '--name', name, '--env', environment, '--tag', 'v1', '--output-dir', output);
    const template = new Template(readFileSync(join(output, `${name}-${environment}.stack.yml`), 'utf8'), 'packaged');
    const { Parameters } = JSON.parse(readFileSync(join(output, `${name}-${environment}.params.json`), 'utf8'));
    return { template: drop(detach(retain(template), facts)), parameters: Parameters };
  };
  try {
    const from = packaged(base);
    for (const edit of edits) {
      const document = parseDocument(base);
      for (const [path, value] of Object.entries(edit)) {
        if (value === undefined) document.deleteIn(path.split('.'));
        else document.setIn(path.split('.'), value);
      }
      const theirs = packaged(document.toString());
      const { release, unmapped } = mapRelease(from.template, read(base), read(document.toString()));
      const what = JSON.stringify(edit);
      expect(unmapped, what).to.deep.equal([]);
      const [mine, copilots] = [comparable(release.template), comparable(theirs.template)];
      if (!isSame(mine, copilots)) expect(mine, what).to.deep.equal(copilots);
      expect({ ...from.parameters, ...release.parameters }, what).to.deep.equal(theirs.parameters);
    }
  } finally {
    writeFileSync(file, original);
  }
}

/** The values without the manifest, and with the definition of a state machine as JSON, whose layout has no meaning. */
function comparable(template: Template): ValueMap {
  const value = template.value();
  const resources = Object.entries(mapOf(value.Resources)).map(([id, resource]): [string, Value] => {
    const definition = textOf(mapOf(mapOf(resource).Properties).DefinitionString);
    if (definition === undefined) return [id, resource];
    const properties = { ...mapOf(mapOf(resource).Properties), DefinitionString: JSON.parse(definition) };
    return [id, { ...mapOf(resource), Properties: properties }];
  });
  return { ...value, Metadata: '', Resources: Object.fromEntries(resources) };
}

/** The names of the exports of an environment, by the names of their outputs. */
export function exportsOf({ stacks: [main] }: Inventory): Record<string, string> {
  const outputs = Object.entries(main?.outputs ?? {});
  return Object.fromEntries(outputs.flatMap(([id, { exportName }]) => (exportName ? [[id, exportName]] : [])));
}
