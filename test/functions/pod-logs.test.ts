import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { lineReader, startedContainers } from '../../functions/pod-logs.ts';

const CONTAINER = {
  namespace: 'plusone',
  pod: 'plusone-1',
  uid: 'u-1',
  container: 'plusone',
  restarts: 0,
  ended: false,
};

describe('the logs of pods', () => {
  it('are read of containers that have been started, those of migrations and crashed ones among them', () => {
    const list = {
      items: [
        {
          metadata: { name: 'plusone-1', namespace: 'plusone', uid: 'u-1' },
          status: {
            initContainerStatuses: [{ name: 'migrate', state: { terminated: { exitCode: 0 } } }],
            containerStatuses: [
              { name: 'plusone', restartCount: 2, state: { running: {} } },
              { name: 'telemetry', state: { waiting: { reason: 'ContainerCreating' } } },
            ],
          },
        },
        { metadata: { name: 'pending', namespace: 'plusone', uid: 'u-2' }, status: {} },
      ],
    };
    expect(startedContainers(list)).to.deep.equal([
      { ...CONTAINER, container: 'migrate', ended: true },
      { ...CONTAINER, restarts: 2 },
    ]);
  });

  it('keep the line as it is, with its time and where it is from', () => {
    expect(lineReader(CONTAINER)('2026-11-29T09:01:06.787255123Z {"msg":"a b"}')).to.deep.equal({
      id: 'u-1/plusone/2026-11-29T09:01:06.787255123Z/0',
      timestamp: Date.UTC(2026, 10, 29, 9, 1, 6, 787),
      message: '{"msg":"a b"}',
      group: 'plusone/plusone',
      stream: 'plusone-1',
    });
  });

  it('have an id for each line, the same each time that they are read', () => {
    const lines = ['2026-11-29T09:01:06.7Z same', '2026-11-29T09:01:06.7Z same', '2026-11-29T09:01:06.8Z same'];
    const [first, second] = [lines, lines].map((all) => {
      const read = lineReader(CONTAINER);
      return all.map((line) => read(line)?.id);
    });
    expect(new Set(first).size).to.equal(3);
    expect(second).to.deep.equal(first);
  });

  it('leave out what has no time: it is of the kubelet', () => {
    expect(lineReader(CONTAINER)('failed to create fsnotify watcher: too many open files')).to.equal(undefined);
  });
});

describe('the log reader, run as a process', () => {
  const LINES = [
    Buffer.from('{"msg":"request","status":200}'),
    Buffer.from('no JSON'),
    Buffer.from([0x62, 0xff, 0xfe, 0x80]),
    Buffer.from(''),
    Buffer.from('{"msg":"cut'),
    Buffer.from(`{"msg":"${'x'.repeat(1_000_000)}"}`),
    Buffer.from(`${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`),
  ];
  const log = Buffer.concat(
    LINES.flatMap((line, at) => [Buffer.from(`2026-11-29T03:00:0${at}.000000001Z `), line, Buffer.from('\n')]),
  );
  const pods = {
    items: [
      {
        metadata: { name: 'plusone-1', namespace: 'plusone', uid: 'u-1' },
        status: { containerStatuses: [{ name: 'plusone', state: { running: {} } }] },
      },
    ],
  };

  it('says why lines wait, and stores each of them once when they can be', async () => {
    const stored = new Map<string, Record<string, unknown>>();
    let bulks = 0;
    let templates = 0;
    let lists = 0;
    const server = createServer(async (request, response) => {
      const { method, url = '' } = request;
      const body = await text(request);
      if (url.startsWith('/api/v1/namespaces/plusone/pods?')) {
        lists += 1;
        response.statusCode = lists <= 3 ? 503 : 200;
        return response.end(JSON.stringify(pods));
      }
      if (url.startsWith('/api/v1/namespaces/plusone/pods/plusone-1/log?')) return response.end(log);
      if (method === 'PUT') {
        templates += 1;
        response.statusCode = templates === 1 ? 503 : 200;
        return response.end('{}');
      }
      bulks += 1;
      const lines = body.trim().split('\n');
      const items = lines.flatMap((line, at) => {
        if (at % 2 === 1) return [];
        const { _id } = JSON.parse(line).create;
        if (bulks === 1)
          return { create: { status: 403, error: { type: 'cluster_block_exception', reason: 'FORBIDDEN/12' } } };
        if (stored.has(_id)) return { create: { status: 409, error: { type: 'version_conflict_engine_exception' } } };
        stored.set(_id, JSON.parse(lines[at + 1] ?? ''));
        return { create: { status: 201 } };
      });
      return response.end(JSON.stringify({ items }));
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const folder = mkdtempSync(join(tmpdir(), 'plusone-logs-'));
    const token = join(folder, 'token');
    writeFileSync(token, 'token');
    const env = {
      LOGS_ENDPOINT: url,
      LOGS_NAME: 'test',
      PODS_NAMESPACE: 'plusone',
      KUBERNETES_URL: url,
      KUBERNETES_TOKEN_FILE: token,
    };
    const child = spawn(process.execPath, ['functions/pod-logs.ts'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    try {
      for (const end = Date.now() + 15_000; stored.size < LINES.length && Date.now() < end; ) await sleep(50);
    } finally {
      child.kill();
      server.close();
      server.closeAllConnections();
      rmSync(folder, { recursive: true });
    }
    expect(output).to.include(`log events wait: ${url}/_index_template/logs-test answered 503`);
    expect(output).to.include('log events wait: the index is read-only');
    expect(output.match(/the pods cannot be listed: .* answered 503/g)).to.have.length(1);
    const documents = [...stored.values()];
    expect(documents).to.have.length(LINES.length);
    expect(documents[0]).to.include({ msg: 'request', status: 200 });
    expect(documents.slice(1, 5).map(({ message }) => message)).to.deep.equal([
      'no JSON',
      'b\ufffd\ufffd\ufffd',
      '',
      '{"msg":"cut',
    ]);
    expect(documents[5]?.msg).to.have.length(1_000_000);
    expect(documents[6]?.shipping).to.include('call stack');
  }).timeout(30_000);
});
