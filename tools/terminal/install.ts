import { createInterface } from 'node:readline/promises';

/**
 * Whether a command may install packages. INSTALL=1 agrees and INSTALL=0 refuses; else a user at a terminal is asked,
 * with the commands; without a terminal, only CI=true agrees.
 */
export async function agreesToInstall(reason: string, commands: readonly (readonly string[])[]): Promise<boolean> {
  const { INSTALL, CI } = process.env;
  if (INSTALL) return INSTALL === '1';
  if (!process.stdin.isTTY) return CI === 'true';
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const lines = commands.map((command) => `  ${command.join(' ')}`).join('\n');
  const given = await terminal.question(`${reason} Run these commands?\n${lines}\n(yes) `);
  terminal.close();
  return ['y', 'yes'].includes(given.trim().toLowerCase());
}
