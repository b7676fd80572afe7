/** The service cannot do this now; the client may try again: the database is unavailable or the queue is full. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}

/** The queue is full: the request was rejected at once. */
export class Overloaded extends Unavailable {}
