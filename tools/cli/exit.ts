import { StrictError, UsageError, WrongFiles } from '../../k8s/errors.ts';
import { NotReady } from '../../local-kind/wait-for-rollout.ts';
import { DocumentError } from '../../manifest/document.ts';
import { MissingInput } from '../../manifest/workspace.ts';
import { Failed } from '../terminal/programs.ts';
import { Refusal } from '../terminal/refusal.ts';

/** How `plusone` ends; those above 63 are of sysexits.h: https://man.freebsd.org/cgi/man.cgi?query=sysexits */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 64,
  data: 65,
  noInput: 66,
  unavailable: 69,
  cannotCreate: 73,
  interrupted: 130,
} as const;

/** The codes as the help lists them. */
export const exitCodeTable: readonly (readonly [string, string])[] = [
  ['0', 'done'],
  ['1', 'check found something, a workload does not run, an alarm fires, or eject refused or failed'],
  ['64', 'wrong usage'],
  ['65', 'a file is invalid'],
  ['66', 'no workspace, or a file is missing'],
  ['69', 'a tool is missing, a port is in use, or Docker does not answer'],
  ['73', 'the output cannot be written'],
  ['130', 'interrupted by Ctrl-C; the same command continues from there'],
  ['141', 'what read the output has ended, such as head'],
];

/** The exit code for an error that is no fault of this program's; undefined for all others. */
export function exitCodeOf(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = 'code' in error ? String(error.code) : '';
  if (error instanceof UsageError || code.startsWith('ERR_PARSE_ARGS')) return exitCodes.usage;
  if (error instanceof DocumentError || error instanceof WrongFiles || error instanceof StrictError)
    return exitCodes.data;
  if (error instanceof MissingInput) return exitCodes.noInput;
  if (error instanceof Refusal) return exitCodes.unavailable;
  if (error instanceof Failed || error instanceof NotReady) return exitCodes.failed;
  if (['EACCES', 'EEXIST', 'ENOTDIR', 'EROFS', 'ENOSPC', 'EISDIR'].includes(code)) return exitCodes.cannotCreate;
  return undefined;
}
