import { run } from '../terminal/programs.ts';

/** Runs Copilot. It asks nothing: there is nobody to answer. Throws Failed when it doesn't end with 0. */
export async function copilot(words: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<void> {
  // For Copilot, CI is a place without a terminal: it writes its table of resources twice a minute, not ten times a second.
  await run('copilot', words, { env: { ...env, CI: 'true' } });
}
