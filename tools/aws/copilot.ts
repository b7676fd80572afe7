import { run } from '../terminal/programs.ts';

/**
 * Runs Copilot without a terminal, so that it asks no questions.
 * @throws {Failed} if it doesn't exit with 0
 */
export async function copilot(words: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<void> {
  // With CI, Copilot prints its table of resources twice a minute instead of ten times a second.
  await run('copilot', words, { env: { ...env, CI: 'true' } });
}
