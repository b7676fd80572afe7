/** What restores the state before a drill. It runs after the drill, even if that fails or is interrupted. */
export class Deferred {
  readonly #actions: (() => unknown)[] = [];

  add(action: () => unknown): void {
    this.#actions.push(action);
  }

  /**
   * Runs the actions, the last one first.
   * @throws {AggregateError} with the errors of those that failed, once all have run
   */
  async run(): Promise<void> {
    const failures: unknown[] = [];
    for (const action of this.#actions.splice(0).reverse()) {
      try {
        await action();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'the state before the drill could not be restored');
  }
}
