/** The types of YAML scalars, as Copilot's parser resolves them: https://github.com/go-yaml/yaml/blob/v3.0.1/resolve.go */
export type ScalarKind = 'text' | 'integer' | 'number' | 'boolean' | 'nothing';

const NUMBER = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/;
const INTEGER = /^[-+]?(0[xX][\da-fA-F]+|0[bB][01]+|0[oO][0-7]+|0[0-7]*|[1-9]\d*)$/;

/** The kind of a scalar that is written without quotes. */
export function kindOf(plain: string): ScalarKind {
  if (/^(|~|null|Null|NULL)$/.test(plain)) return 'nothing';
  if (/^(true|True|TRUE|false|False|FALSE)$/.test(plain)) return 'boolean';
  if (/^([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$/.test(plain)) return 'number';
  const digits = /^[-+\d]/.test(plain) ? plain.replaceAll('_', '') : plain;
  if (INTEGER.test(digits)) return 'integer';
  return NUMBER.test(digits) ? 'number' : 'text';
}

/** The value of an integer or a number, which may be hexadecimal, binary or octal (`0644` too), infinite or NaN. */
export function goNumber(text: string): number {
  const plain = text.replaceAll('_', '').toLowerCase();
  const sign = plain.startsWith('-') ? -1 : 1;
  const digits = plain.replace(/^[-+]/, '');
  if (digits === '.inf') return sign * Number.POSITIVE_INFINITY;
  if (/^0[0-7]+$/.test(digits)) return sign * Number.parseInt(digits, 8);
  return digits === '.nan' ? Number.NaN : sign * Number(digits);
}
