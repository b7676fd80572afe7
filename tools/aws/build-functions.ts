import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { build } from 'esbuild';

/** The functions that an addon deploys, by the names of their files in functions/. */
export const FUNCTIONS = ['scaler', 'ship'] as const;

/**
 * Bundles a function of functions/ into the one file that Lambda loads: it takes no TypeScript and has no packages but
 * the AWS SDK, which stays outside.
 * @returns the path of the file, which an addon names the folder of as its `Code`, and its text
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
    banner: { js: `// Made from functions/${name}.ts by \`npm run functions:build\`: change that, not this.` },
    // Names stay, for stack traces.
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    write: false,
  });
  const [output] = outputFiles;
  if (output === undefined) throw new Error(`esbuild made nothing of functions/${name}.ts`);
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
