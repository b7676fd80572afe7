/** What an error says, or the text of a value that was thrown and is none. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
