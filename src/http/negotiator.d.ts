/** The package has no types; this is the part that is used here. */
declare module 'negotiator' {
  import type { IncomingMessage } from 'node:http';

  export default class Negotiator {
    constructor(request: Pick<IncomingMessage, 'headers'>);
    /** The one of `available` that the Accept header prefers; undefined when it allows none. */
    mediaType(available: string[]): string | undefined;
  }
}
