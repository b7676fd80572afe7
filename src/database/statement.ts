/** No answer to a statement in time; MySQL may still carry it out. */
export class StatementTimeout extends Error {
  override readonly name = 'StatementTimeout';
}

/**
 * What `run` passes to its callback.
 * mysql2 does not notice a peer that stopped responding (its issue 2945), so each statement has a timer of its own.
 * @throws {StatementTimeout} after `milliseconds` without a result
 */
export function runWithin<Result>(
  milliseconds: number,
  run: (done: (error: Error | null, result: Result) => void) => void,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new StatementTimeout(`no answer to a statement within ${milliseconds} ms`)),
      milliseconds,
    );
    run((error, result) => {
      clearTimeout(timer);
      if (error) reject(error);
      else resolve(result);
    });
  });
}
