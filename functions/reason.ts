/** The message with those of the causes: the message of fetch is only "fetch failed". */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && error.message === '' ? String(error.code) : error.message;
  return error.cause === undefined ? code : `${code}: ${reasonOf(error.cause)}`;
}
