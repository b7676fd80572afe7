import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { z } from 'zod';
import { chooseDatabase, DATABASES, type Database, databaseObjects } from '../../local-kind/mysql.ts';
import { cleanEnvironment } from '../../tools/process/clean-environment.ts';
import { Refusal } from '../../tools/terminal/refusal.ts';
import { skipWithout } from '../skip.ts';

const statefulSet = z.object({ spec: z.object({ serviceName: z.string() }) });
const configMap = z.object({ data: z.record(z.string(), z.string()) });

function objectOf(database: Database, kind: string, name: string) {
  return databaseObjects(database).find((object) => object.kind === kind && object.metadata.name === name);
}

describe('The database of make up', () => {
  /** The database of a cluster that has `present`, or the message of the refusal. */
  async function chosen(wanted: Database | undefined, present?: Database): Promise<string> {
    const set = present && statefulSet.parse(objectOf(present, 'StatefulSet', 'mysql'));
    const kubectl = async () => set?.spec.serviceName ?? '';
    return await chooseDatabase({ name: 'house', kubectl }, 'plusone', wanted).catch((error: unknown) => {
      if (error instanceof Refusal) return error.message;
      throw error;
    });
  }

  it('is one server by default, and what is asked for in a new cluster', async () => {
    expect(await chosen(undefined)).to.equal('single');
    expect(await chosen('cluster')).to.equal('cluster');
  });

  for (const database of DATABASES)
    it(`stays ${database} if DATABASE is left out or the same`, async () => {
      expect([await chosen(undefined, database), await chosen(database, database)]).to.deep.equal([database, database]);
    });

  for (const [present, wanted] of [
    ['single', 'cluster'],
    ['cluster', 'single'],
  ] as const)
    it(`is not changed from ${present} to ${wanted}, and the error says what to type`, async () => {
      expect(await chosen(wanted, present)).to.equal(
        `the cluster house has DATABASE=${present}, and a cluster keeps its database with the data: ` +
          'leave DATABASE out, or make down CLUSTER=house first, which deletes the data',
      );
    });

  it('is refused by another name before anything is done', () => {
    const env = { ...cleanEnvironment(), DATABASE: 'galera' };
    const { status, stderr } = spawnSync(process.execPath, ['local-kind/up.ts'], { env, encoding: 'utf8' });
    expect([status, stderr]).to.deep.equal([
      1,
      '\nmake up: DATABASE=galera: expected single (one MySQL server) or cluster (three)\n',
    ]);
  });

  it('has the same endpoint and the same password, whichever it is', () => {
    for (const kind of ['Service', 'Secret'])
      expect(objectOf('cluster', kind, 'mysql'), kind)
        .to.deep.equal(objectOf('single', kind, 'mysql'))
        .and.not.equal(undefined);
  });
});

// Here, bash runs its script with stand-ins for the programs mysql and sleep. test/cluster and the drills have real servers.
describe('A MySQL server of the cluster', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'plusone-mysql-'));
    const { data } = configMap.parse(objectOf('cluster', 'ConfigMap', 'mysql-group'));
    for (const [name, text] of Object.entries(data))
      writeFileSync(join(folder, name), text.replaceAll(/\/(group|state)\//g, `${folder}/`));
    // One round of its loop.
    program('sleep', `[ ! -e ${folder}/slept ] && touch ${folder}/slept`);
    // Sets of transactions are letters here, such as a,b.
    program(
      'mysql',
      `sql=$(cat)
       while [ "$1" != -h ]; do shift; done
       subset() { local IFS=, one; for one in $1; do [[ ,$2, = *,$one,* ]] || { echo 0; return; }; done; echo 1; }
       case $sql in
         *replication_group_members*) cat "${folder}/$2" ;;
         *GTID_SUBSET*)
           [[ $sql =~ \\'([^\\']*)\\',\\ \\'([^\\']*)\\' ]]
           printf '%s\\t%s\\n' "$(subset "\${BASH_REMATCH[1]}" "\${BASH_REMATCH[2]}")" "$(subset "\${BASH_REMATCH[2]}" "\${BASH_REMATCH[1]}")" ;;
         *) echo "$sql" >> ${folder}/statements ;;
       esac`,
    );
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  function program(name: string, script: string): void {
    writeFileSync(join(folder, name), `#!/bin/bash\n${script}\n`);
    chmodSync(join(folder, name), 0o755);
  }

  /** What a server says about itself, as look.sql asks; undefined if it does not answer. */
  type Look = readonly [state: string, view: string, transactions: string] | undefined;

  /** The statements that the server with this number runs, without its looks at itself and the others. */
  function statementsOf(own: number, looks: readonly Look[]): string {
    rmSync(join(folder, 'statements'), { force: true });
    rmSync(join(folder, 'slept'), { force: true });
    for (const [at, look] of looks.entries()) {
      if (look === undefined) continue;
      const [state, view, transactions] = look;
      const line = `${[state, Number(state === 'ONLINE'), view, transactions].join('\t')}\n`;
      writeFileSync(join(folder, `mysql-${at}.mysql-members`), line);
      if (at === own) writeFileSync(join(folder, '127.0.0.1'), line);
    }
    const env = {
      PATH: `${folder}:${process.env.PATH}`,
      HOSTNAME: `mysql-${own}`,
      MYSQL_ROOT_PASSWORD: 'the-password',
    };
    const { stderr } = spawnSync('bash', [join(folder, 'group.sh')], { env, encoding: 'utf8' });
    expect(stderr).to.equal('');
    const file = join(folder, 'statements');
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  /** Which of the servers start a group, and which enter one. */
  function startedBy(...looks: Look[]): string[] {
    return looks.flatMap((look, at) => {
      if (look === undefined) return [];
      const statements = statementsOf(at, looks);
      if (!statements.includes('START GROUP_REPLICATION')) return [];
      return [`mysql-${at} ${/bootstrap_group = (\w+);/.exec(statements)?.[1]}`];
    });
  }

  const offline = (transactions: string): Look => ['OFFLINE', '-', transactions];
  const online = (transactions: string): Look => ['ONLINE', '-', transactions];

  it('starts the group if it is the first of three new ones', () => {
    expect(startedBy(offline(''), offline(''), offline(''))).to.deep.equal(['mysql-0 ON']);
  });

  it('starts the group if all were stopped and it has the most transactions', () => {
    expect(startedBy(offline('a'), offline('a,b,c'), offline('a,b'))).to.deep.equal(['mysql-1 ON']);
    expect(startedBy(offline('a'), offline('a,b'), offline('a,b'))).to.deep.equal(['mysql-1 ON']);
  });

  it('starts no group while another server does not answer, which may have more', () => {
    expect(startedBy(offline('a,b'), offline('a'), undefined)).to.deep.equal([]);
  });

  it('starts no group while another server has one, or may have', () => {
    expect(startedBy(offline('a,b'), offline('a'), ['RECOVERING', '-', 'a'])).to.deep.equal([]);
    expect(startedBy(offline('a,b'), offline('a'), ['ERROR', '-', 'a'])).to.deep.equal([]);
  });

  it('starts no group if each has transactions that the other does not have', () => {
    expect(startedBy(offline('a,b'), offline('a,c'), offline('a'))).to.deep.equal([]);
  });

  it('enters the group of another server, also if it has more transactions or the third does not answer', () => {
    expect(startedBy(offline('a,b'), online('a'), online('a'))).to.deep.equal(['mysql-0 OFF']);
    expect(startedBy(offline('a'), undefined, online('a'))).to.deep.equal(['mysql-0 OFF']);
  });

  it('leaves the group and takes connections again after it was expelled', () => {
    expect(statementsOf(0, [['ERROR', '-', 'a'], online('a'), online('a')])).to.equal(
      'STOP GROUP_REPLICATION; SET GLOBAL offline_mode = OFF\n',
    );
  });

  it('says that it is the primary only while it is', () => {
    const file = join(folder, 'primary');
    statementsOf(0, [['ONLINE', '17:4', 'a'], online('a'), online('a')]);
    expect(readFileSync(file, 'utf8')).to.equal('17:4\n');
    statementsOf(0, [online('a'), ['ONLINE', '17:5', 'a'], online('a')]);
    expect(existsSync(file)).to.equal(false);
  });

  describe('that is the primary', () => {
    /** What mysql-1 changes about the Service in that view; `known` is the view in which the Service led to mysql-0. */
    function changesOf(view: string, known: string | undefined, leadsTo = 'mysql-0'): unknown {
      const annotations = known === undefined ? {} : { annotations: { 'local-kind/view': known } };
      const service = {
        metadata: { resourceVersion: '7', ...annotations },
        spec: { selector: { 'statefulset.kubernetes.io/pod-name': leadsTo } },
      };
      const script = `
import json, sys
sys.path.insert(0, sys.argv[1])
import endpoint
changes = []
def call(method, change=None):
    if change: changes.append(change)
    return json.loads(sys.argv[2])
endpoint.call = call
endpoint.lead_here(sys.argv[3], 'mysql-1')
print(json.dumps(changes))`;
      const words = ['-B', '-c', script, folder, JSON.stringify(service), view];
      const { stdout, stderr } = spawnSync('python3', words, { encoding: 'utf8' });
      expect(stderr).to.equal('');
      return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
    }

    const change = (view: string) => ({
      metadata: { resourceVersion: '7', annotations: { 'local-kind/view': view } },
      spec: { selector: { 'statefulset.kubernetes.io/pod-name': 'mysql-1' } },
    });

    before(function () {
      if (spawnSync('python3', ['--version']).status !== 0) skipWithout(this, 'python3', 'its script needs Python');
    });

    it('has the Service lead to its pod: the first one, a later one, and one of a group that was started again', () => {
      for (const known of [undefined, '17:9', '17:10', '16:99'])
        expect(changesOf('17:10', known), known).to.deep.equal([change('17:10')]);
    });

    it('leaves the Service as it is if the view is older: another server is the primary since', () => {
      expect(changesOf('17:9', '17:10')).to.deep.equal([]);
    });

    it('leaves the Service as it is if that leads to its pod already', () => {
      expect(changesOf('17:10', '17:10', 'mysql-1')).to.deep.equal([]);
    });
  });
});
