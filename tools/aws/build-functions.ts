import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { build } from 'esbuild';

/** The functions that an addon deploys, by the names of their files in functions/. */
export const FUNCTIONS = ['scaler', 'ship'] as const;

/**
 * Bundles a function of functions/ into one file, because Lambda runs no TypeScript and provides no packages except the
 * AWS SDK, which is not bundled.
 * @returns the path of the file, whose folder is the `Code` in an addon, and its text
 */
export async function bundle(name: (typeof FUNCTIONS)[number]): Promise<{ file: string; text: string }> {
  const file = `functions/dist/${name}/index.mjs`;
  const { outputFiles } = await build({
    entryPoints: [`functions/${name}.ts`],
    outfile: file,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    external: ['@aws-sdk/*'],
    banner: { js: `// Generated from functions/${name}.ts by \`npm run functions:build\`; do not edit.` },
    // Not minifyIdentifiers: names are useful in stack traces.
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    write: false,
  });
  const [output] = outputFiles;
  if (output === undefined) throw new Error(`esbuild returned no output for functions/${name}.ts`);
  return { file, text: output.text };
}

if (import.meta.main) {
  for (const name of FUNCTIONS) {
    const { file, text } = await bundle(name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    process.stdout.write(`${file}: ${text.length} characters\n`);
  }
}
