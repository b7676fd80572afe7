import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { expect } from 'chai';
import { parse } from 'yaml';
import { z } from 'zod';
import { freePort } from '../../tools/process/free-port.ts';
import { serving } from '../serving.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const commandOf = (list: unknown) => z.array(z.string()).min(1).parse(list);

const manifest = z
  .object({ image: z.object({ healthcheck: z.object({ command: z.unknown(), timeout: z.string() }) }) })
  .parse(parse(read('copilot/plusone/manifest.yml'))).image.healthcheck;
const [kind, ...inManifest] = commandOf(manifest.command);
const inDockerfile = commandOf(JSON.parse(/^HEALTHCHECK .*\\\n +CMD (.*)$/m.exec(read('Dockerfile'))?.[1] ?? '[]'));

/** Runs the command as ECS, Kubernetes and Docker do: without a shell, with the variables of the container. */
async function check(
  [program = '', ...args]: readonly string[],
  port: number,
): Promise<{ code: number | null; milliseconds: number }> {
  const from = performance.now();
  const child = spawn(program, args, { env: { PATH: process.env.PATH, PORT: String(port) }, stdio: 'ignore' });
  const [code] = await once(child, 'exit');
  return { code, milliseconds: performance.now() - from };
}

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

describe('the health check of the container', () => {
  it('is the same in the Dockerfile, which has a default port as well', () => {
    expect(kind).to.equal('CMD');
    expect(inDockerfile.map((word) => word.replace(/\$\{PORT:-5000\}/, '$PORT'))).to.deep.equal(inManifest);
  });

  it('ends before the timeouts of ECS and Kubernetes', () => {
    expect(inManifest.slice(0, 2)).to.deep.equal(['timeout', '4']);
    expect(manifest.timeout).to.equal('5s');
  });

  it('contains no text that Copilot or Kubernetes would expand', () => {
    expect(inManifest.join(' ')).not.to.match(/\$[{(]/);
  });

  for (const [place, command] of [
    ['manifest', inManifest],
    ['Dockerfile', inDockerfile],
  ] as const) {
    describe(`in the ${place}`, () => {
      it('succeeds when the service is alive', async () => {
        const service = await serving();
        try {
          expect((await check(command, service.port)).code).to.equal(0);
          expect(await service.counts()).to.deep.equal({ 'GET /livez 200': 1 });
        } finally {
          await service.close();
        }
      });

      it('fails when nothing listens', async () => {
        expect((await check(command, await freePort())).code).not.to.equal(0);
      });

      it('fails if the response has another status', async () => {
        const server = createHttpServer((_request, response) => {
          response.writeHead(503, '200');
          response.end('200');
        });
        const port = await portOf(server);
        expect((await check(command, port)).code).not.to.equal(0);
        server.close();
      });

      it('fails within its timeout if there is no response', async function () {
        this.timeout(10_000);
        const sockets: Socket[] = [];
        const server = createServer((socket) => sockets.push(socket));
        const { code, milliseconds } = await check(command, await portOf(server));
        for (const socket of sockets) socket.destroy();
        server.close();
        expect(code).not.to.equal(0);
        expect(milliseconds).to.be.within(3_900, 4_900);
      });
    });
  }
});
