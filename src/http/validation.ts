import type { z } from 'zod';
import { type FieldError, Problem } from './problems.ts';

/**
 * The value that `schema` makes of a body.
 * @throws {Problem} 400 with each invalid field
 */
export function parseBody<Value>(schema: z.ZodType<Value>, body: unknown): Value {
  const { success, data, error } = schema.safeParse(body);
  if (success) return data;
  throw invalidFields(error.issues.flatMap(fieldErrors));
}

/** A 400 for a body with these errors; each detail completes a sentence that begins with the name of the field. */
export function invalidFields(errors: readonly FieldError[]): Problem {
  return new Problem(400, `${errors.map(({ pointer, detail }) => `${nameOf(pointer)} ${detail}`).join('; ')}.`, {
    errors,
  });
}

function fieldErrors(issue: z.core.$ZodIssue): FieldError[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ pointer: pointerTo([key]), detail: 'is not a field that is known here' }));
  }
  return [{ pointer: pointerTo(issue.path), detail: issue.message }];
}

/** A JSON Pointer as a URI fragment: https://www.rfc-editor.org/rfc/rfc6901#section-6 */
function pointerTo(path: readonly PropertyKey[]): string {
  return `#${path.map((key) => `/${encodeURIComponent(String(key).replaceAll('~', '~0').replaceAll('/', '~1'))}`).join('')}`;
}

function nameOf(pointer: string): string {
  return pointer === '#' ? 'The body' : pointer.slice(2);
}
