import { once } from 'node:events';
import { createServer } from 'node:http';
import { z } from 'zod';
import { aws } from '../../../tools/aws/cloud.ts';
import { output } from '../../../tools/terminal/programs.ts';

/**
 * Answers SSM's GetParametersByPath for containers on this machine with what is under the path now. For an emulator of
 * AWS that is one process and answers nobody while it deploys a service: the new tasks ask for their secrets just then.
 */
export async function serveParameters(path: string): Promise<{ url: string; close(): void }> {
  const parameters = z.array(z.object({ Name: z.string(), Type: z.string(), Value: z.string() }));
  const words = ['ssm', 'get-parameters-by-path', '--with-decryption', '--path', path];
  const found = await aws(z.object({ Parameters: parameters }), ...words);
  const server = createServer((request, response) => {
    request.resume();
    response.setHeader('content-type', 'application/x-amz-json-1.1');
    response.end(JSON.stringify(found));
  });
  // This machine's address for containers, which nobody else can reach.
  const gateway = ['network', 'inspect', 'bridge', '--format', '{{(index .IPAM.Config 0).Gateway}}'];
  const host = (await output('docker', gateway)).trim();
  server.listen(0, host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('it does not listen on a port');
  return { url: `http://${host}:${address.port}`, close: () => server.close() };
}
