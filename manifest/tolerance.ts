import { type Path, Scalar, YamlMapping } from './document.ts';

/**
 * What Copilot takes though it is not what was meant: https://github.com/aws/copilot-cli/tree/v1.34.1/internal/pkg/manifest
 * (the UnmarshalYAML of each type, over the plain decoding of gopkg.in/yaml.v3).
 */

const textMaps: readonly Path[] = [
  ['variables'],
  ['sidecars', '*', 'variables'],
  ['logging', 'variables'],
  ['image', 'labels'],
  ['sidecars', '*', 'labels'],
  ['image', 'build', 'args'],
];

/** The manifest in which a variable, label or build argument without a value is the empty text. */
export function fillEmptyTexts(manifest: YamlMapping): YamlMapping {
  const inEnvironments = textMaps.map((path): Path => ['environments', '*', ...path]);
  return [...textMaps, ...inEnvironments].reduce(fillAt, manifest);
}

function fillAt(node: YamlMapping, [step, ...rest]: Path): YamlMapping {
  const filled = [...node.entries].map(([name, { key, value }]) => {
    if (step === undefined) return [name, { key, value: value ?? new Scalar('', 'text', key) }] as const;
    const isOnPath = step === '*' || step === name;
    return [name, { key, value: isOnPath && value instanceof YamlMapping ? fillAt(value, rest) : value }] as const;
  });
  return new YamlMapping(new Map(filled), node.line);
}

/** Maps that Copilot reads in two ways, a map or a single value, and whose errors of type it drops where the map holds something. */
const tolerant: readonly Path[] = [
  ['http'],
  ['http', 'additional_rules', '*'],
  ['count'],
  ['count', 'range'],
  ['count', 'cooldown'],
  ['count', 'queue_delay'],
  ['count', 'queue_delay', 'cooldown'],
  ['exec'],
  ['storage', 'volumes', '*', 'efs'],
  ['storage', 'volumes', '*', 'efs', 'auth'],
  ['subscribe', 'topics', '*', 'queue'],
];

/**
 * What Copilot reads instead where a value is of the wrong type and it drops the error: the zero of the expected type.
 * Undefined where it refuses the value.
 */
export function toleratedValue(path: Path, expected: string, found: Scalar): Scalar | undefined {
  const place = (path[0] === 'environments' ? path.slice(2) : path).slice(0, -1);
  const isTolerant = tolerant.some(
    (known) => known.length === place.length && known.every((step, i) => step === '*' || step === place[i]),
  );
  if (!isTolerant) return undefined;
  if (expected === 'a duration such as 10s, 1m30s or 500ms') return new Scalar('0s', 'text', found.line);
  if (expected === 'true or false') return new Scalar('false', 'boolean', found.line);
  const isNumber = found.kind === 'integer';
  if (expected === 'a whole number' && !isNumber) return new Scalar('0', 'integer', found.line);
  return undefined;
}
