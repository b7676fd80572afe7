import * as programs from '../terminal/programs.ts';

export { Failed, stopAll } from '../terminal/programs.ts';
export { duration as seconds, say, step } from '../terminal/progress.ts';
export { Refusal } from '../terminal/refusal.ts';

/** Asks a program something: gives back what it wrote to stdout, without the line end. */
export async function output(program: string, args: string[], input = ''): Promise<string> {
  return await programs.output(program, args, { input });
}
