import { type Node, type Path, YamlMapping } from './document.ts';

/**
 * Fields of which only one side may be set: what the environment sets on one side removes the other side that the
 * manifest has. The rest of Copilot's rules need no list here: where a field has a short form, the environment's form
 * wins as a whole. https://github.com/aws/copilot-cli/blob/v1.34.1/internal/pkg/manifest/transform.go
 */
const exclusive: readonly { at: readonly string[]; sides: readonly (readonly string[])[] }[] = [
  { at: ['image'], sides: [['build'], ['location']] },
  {
    at: ['count'],
    sides: [
      ['spot'],
      ['range', 'cooldown', 'cpu_percentage', 'memory_percentage', 'requests', 'response_time', 'queue_delay'],
    ],
  },
  {
    at: ['storage', 'volumes', '*', 'efs'],
    sides: [
      ['uid', 'gid'],
      ['id', 'root_dir', 'auth'],
    ],
  },
  { at: ['secrets', '*'], sides: [['secretsmanager'], ['from_cfn']] },
  { at: ['sidecars', '*', 'secrets', '*'], sides: [['secretsmanager'], ['from_cfn']] },
];

/**
 * The manifest as one environment sees it: `environments.<name>` over everything else, merged as Copilot merges. Maps
 * merge key by key, lists and single values are replaced, a key without a value changes nothing. An environment that
 * the manifest does not name gets the manifest as it is.
 */
export function applyEnvironment(manifest: YamlMapping, name: string): YamlMapping {
  const rest = new YamlMapping(new Map([...manifest.entries].filter(([key]) => key !== 'environments')), manifest.line);
  const environments = manifest.get('environments');
  const overrides = environments instanceof YamlMapping ? environments.get(name) : undefined;
  return overrides instanceof YamlMapping ? mergeMappings(rest, overrides, []) : rest;
}

function merge(base: Node | undefined, override: Node, path: Path): Node {
  return base instanceof YamlMapping && override instanceof YamlMapping
    ? mergeMappings(base, override, path)
    : override;
}

function mergeMappings(base: YamlMapping, override: YamlMapping, path: Path): YamlMapping {
  const entries = new Map(base.entries);
  removeExclusive(entries, override, path);
  for (const [name, { key, value }] of override.entries) {
    if (value) entries.set(name, { key, value: merge(base.get(name), value, [...path, name]) });
  }
  return new YamlMapping(entries, base.line);
}

/** Removes the fields that the fields of the override exclude. */
function removeExclusive(entries: Map<string, unknown>, override: YamlMapping, path: Path): void {
  const rule = exclusive.find(
    ({ at }) => at.length === path.length && at.every((step, i) => step === '*' || step === path[i]),
  );
  const chosen = rule?.sides.find((side) => side.some((field) => override.get(field)));
  if (!rule || !chosen) return;
  for (const field of rule.sides.filter((side) => side !== chosen).flat()) entries.delete(field);
}
