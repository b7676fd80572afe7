/** The command line asks for what there is not; the message says the option, its value and what would be right. */
export class UsageError extends Error {}

/** Something is wrong in files of the workspace: a line `file:line: what` for each. */
export class WrongFiles extends Error {}

/** Warnings, where --strict makes them errors. */
export class StrictError extends Error {}
