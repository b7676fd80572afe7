import { expect } from 'chai';
import { type Connection, createConnection } from 'mysql2';
import { AbandonedSessions } from '../../src/database/abandoned.ts';
import { type FakeServer, startFakeServer } from './fake-server.ts';

const MILLISECONDS = 1_000;

describe('the sessions that were given up', () => {
  let server: FakeServer;
  let session: Connection;
  let refusal: { code: number; message: string };

  before(async () => {
    server = await startFakeServer((client, sql) => {
      if (sql.startsWith('KILL')) client.writeError(refusal);
      else client.writeOk();
    });
    session = createConnection({ host: '127.0.0.1', port: server.port });
  });
  after(() => {
    session?.destroy();
    server?.close();
  });

  async function abandonOne(): Promise<AbandonedSessions> {
    const abandoned = new AbandonedSessions();
    await abandoned.mark(session, MILLISECONDS);
    abandoned.add(session);
    return abandoned;
  }

  for (const [what, code, message] of [
    ['the session has ended', 1094, 'Unknown thread id: 0'],
    ['it belongs to another user', 1095, 'You are not owner of thread 7'],
    ['the server knows no such KILL', 1064, 'You have an error in your SQL syntax'],
    ['the proxy knows no such KILL, as Vitess', 1105, "syntax error at position 18 near 'IS_USED_LOCK'"],
  ] as const) {
    it(`are given up for good if ${what}, so that statements run again`, async () => {
      refusal = { code, message };
      const abandoned = await abandonOne();
      await abandoned.end(session, MILLISECONDS);
      expect(abandoned.size).to.equal(0);
    });
  }

  it('are kept if the server cannot serve now: nothing else may run before they have ended', async () => {
    refusal = { code: 1053, message: 'Server shutdown in progress' };
    const abandoned = await abandonOne();
    const failure = await abandoned.end(session, MILLISECONDS).catch((error: unknown) => error);
    expect(failure).to.have.property('errno', 1053);
    expect(abandoned.size).to.equal(1);
  });
});
