/** The service cannot do this now, and the client may retry: the database is unavailable, or the queue is full. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}

/** The queue is full; the request was rejected immediately. */
export class Overloaded extends Unavailable {}
