import { type Connection, createServer } from 'mysql2';
import { freePort } from '../../tools/process/free-port.ts';

/** A server of our own, for answers that no installed server gives. */
export interface FakeServer {
  readonly port: number;
  close(): void;
}

/** Starts a server on a free port of 127.0.0.1 that lets every user in; `answer` writes its answer to a statement. */
export async function startFakeServer(answer: (session: Connection, sql: string) => void): Promise<FakeServer> {
  const port = await freePort();
  const server = createServer(() => {});
  server.on('connection', (session: Connection) => {
    session.serverHandshake({
      protocolVersion: 10,
      serverVersion: '8.4.0-fake',
      connectionId: 1,
      statusFlags: 2,
      characterSet: 45,
      // No TLS, no compression, no attributes before the statement.
      capabilityFlags: 0x00_ff_f7_df,
    });
    // A client that ends without a word.
    session.on('error', () => {});
    session.on('query', (sql: string) => {
      // A client counts the packets of one statement, this server those of the session.
      session.sequenceId = 1;
      answer(session, sql);
      session.sequenceId = 0;
    });
  });
  server.listen(port);
  return { port, close: () => server.close(() => {}) };
}
