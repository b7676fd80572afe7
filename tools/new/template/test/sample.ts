import { z } from 'zod';

/** Fields that a schema accepts: the example of each of them. */
export function sampleOf(schema: z.ZodObject): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(schema.shape).map(([name, type]) => {
      const inner = type instanceof z.ZodOptional ? type.unwrap() : type;
      const { examples } = z.object({ examples: z.array(z.unknown()) }).parse(z.globalRegistry.get(inner));
      return [name, examples[0]];
    }),
  );
}
