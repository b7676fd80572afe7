/** The section of the runbook about an alarm: a path in this repository, with the anchor of its heading. */
export function runbookOf(alarm: string): string {
  return `docs/runbook.md#${alarm.toLowerCase()}`;
}
