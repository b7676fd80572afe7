/** What a database tells of itself that nobody has asked anything yet. */
export const idleDatabase = {
  used: 0,
  free: 0,
  waitingForConnection: 0,
  statements: 0,
  statementSeconds: 0,
  failures: 0,
};

/** The same with the users' queues, as the metrics have it. */
export const idle = { ...idleDatabase, reads: 0, writes: 0, executing: 0 };
