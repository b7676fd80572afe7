/** No answer to a statement in time; MySQL may still execute it. */
export class StatementTimeout extends Error {
  override readonly name = 'StatementTimeout';
}

/**
 * The result that `run` passes to its callback.
 * mysql2 does not notice a server that stops responding (its issue 2945), so each statement has a timer.
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
