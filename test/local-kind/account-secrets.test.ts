import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SSMClient } from '@aws-sdk/client-ssm';
import { expect } from 'chai';
import { readOptions } from '../../k8s/options.ts';
import { readWhatCanBe } from '../../k8s/read.ts';
import { readAccountSecrets } from '../../local-kind/account-secrets.ts';
import { readSecretFile } from '../../local-kind/secret-file.ts';
import { openWorkspace } from '../../manifest/workspace.ts';
import { Refusal } from '../../tools/terminal/refusal.ts';
import { TestFolder, webService } from '../tools/cli/workspace.ts';

describe('readAccountSecrets', () => {
  let folder: TestFolder;
  let aws: Server;
  let answer: (target: string, body: { Name?: string; SecretId?: string }) => [status: number, body: object];

  beforeEach(async () => {
    folder = new TestFolder();
    folder.write({
      'copilot/.workspace': 'application: shop\n',
      'copilot/web/manifest.yml': webService(
        'secrets:',
        '  TOKEN: /shop/token',
        '  DB_PASSWORD: { secretsmanager: "db:password::" }',
      ),
    });
    aws = createServer(async (request, response) => {
      const [status, reply] = answer(String(request.headers['x-amz-target']), JSON.parse(await text(request)));
      // restify, once it is loaded, replaces writeHead by one that returns nothing.
      response.statusCode = status;
      response.setHeader('Content-Type', 'application/x-amz-json-1.1');
      response.end(JSON.stringify(reply));
    }).listen(0);
    await once(aws, 'listening');
    answer = (target, { Name, SecretId }) => {
      if (target.startsWith('AmazonSSM')) return [200, { Parameter: { Name, Value: `value of ${Name}` } }];
      return [200, { Name: SecretId, SecretString: '{"password":"s3cret"}' }];
    };
  });
  afterEach(() => {
    aws.close();
    folder.remove();
  });

  function workloads() {
    return readWhatCanBe(openWorkspace(folder.path), readOptions({ environment: 'local' })).workloads;
  }

  async function readSecrets(given: Record<string, string> = {}) {
    const address = aws.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
    const settings = { endpoint: `http://127.0.0.1:${port}`, region: 'us-east-1', credentials, maxAttempts: 1 };
    const clients = { ssm: new SSMClient(settings), secretsManager: new SecretsManagerClient(settings) };
    return await readAccountSecrets(workloads(), new Map(Object.entries(given)), new Set(), clients);
  }

  it('reads parameters, and properties of secrets', async () => {
    const { values, missing } = await readSecrets();
    expect([...values]).to.have.deep.members([
      ['web.TOKEN', 'value of /shop/token'],
      ['web.DB_PASSWORD', 's3cret'],
    ]);
    expect(missing).to.deep.equal([]);
  });

  it('does not ask for what plusone.env has', async () => {
    const { values } = await readSecrets({ TOKEN: 'mine' });
    expect([...values.keys()]).to.deep.equal(['web.DB_PASSWORD']);
  });

  it('names what the account does not have', async () => {
    answer = () => [400, { __type: 'ParameterNotFound' }];
    folder.write({ 'copilot/web/manifest.yml': webService('secrets: { TOKEN: /shop/token }') });
    const { missing } = await readSecrets();
    expect(missing).to.deep.equal(['web: AWS has no SSM /shop/token for TOKEN']);
  });

  it('refuses when AWS refuses, with its reason and what to look at', async () => {
    answer = () => [400, { __type: 'ExpiredTokenException', message: 'the token is expired' }];
    const error: unknown = await readSecrets().catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(Refusal).with.property('message');
    expect(String(error))
      .to.contain('ExpiredTokenException: the token is expired')
      .and.contain('aws sts get-caller-identity');
  });

  it('leaves the values out of plusone.env, which gets only the keys without one', async () => {
    const root = mkdtempSync(join(tmpdir(), 'secrets-'));
    const found = new Map([['web.TOKEN', 'never in a file']]);
    const values = await readSecretFile(root, workloads(), new Set(), async () => found);
    const text = readFileSync(join(root, 'plusone.env'), 'utf8');
    rmSync(root, { recursive: true });
    expect(values.get('web.TOKEN')).to.equal('never in a file');
    expect(text)
      .to.match(/^DB_PASSWORD=$/m)
      .and.not.match(/TOKEN|never in a file/);
  });
});
