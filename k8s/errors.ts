/** The command line is invalid; the message has the option, its value and what is expected. */
export class UsageError extends Error {}

/** Files of the workspace have errors: a line `file:line: message` for each. */
export class WrongFiles extends Error {}

/** Warnings that --strict turns into errors. */
export class StrictError extends Error {}
