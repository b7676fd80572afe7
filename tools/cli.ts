#!/usr/bin/env node
/** `plusone`: one program for everything that can be done with a Copilot workspace. */
import module from 'node:module';

const LEAST_NODE = 22;

if (Number.parseInt(process.versions.node, 10) < LEAST_NODE) {
  console.error(`plusone needs Node ${LEAST_NODE} or later; this is ${process.versions.node}`);
  process.exit(69);
}
// Compilation takes a third of the time of a short command, and has the same result each time.
module.enableCompileCache();
const { main } = await import('./cli/main.ts');

process.exitCode = await main(process.argv.slice(2));
