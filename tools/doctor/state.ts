/** What is there of Plusone itself: its dependencies, a database to run on, its ports, its cluster, its account. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { type Holder, holderOf } from '../../local-kind/port-holder.ts';
import { identity } from '../aws/credentials.ts';
import { findServer, IMAGE, installation, server } from '../process/server-program.ts';
import { type Finding, good, note, remedyHere, wrong } from '../terminal/finding.ts';
import { output } from '../terminal/programs.ts';
import { lookAtTool } from '../terminal/requirements.ts';
import { withoutDocker } from './machine.ts';

const INSTALLED = 'node_modules/.package-lock.json';
const NODE = 'node_modules/node/package.json';

/** By the same rule as make's. */
export function lookAtDependencies(): Finding {
  if (!existsSync(INSTALLED)) return note('not installed yet: the first make that needs them does it, in a minute');
  if (statSync(INSTALLED).mtimeMs < statSync('package-lock.json').mtimeMs)
    return note('older than package-lock.json: the next make that needs them installs them again');
  const node: { version: string } = JSON.parse(readFileSync(NODE, 'utf8'));
  return good(`installed, Node ${node.version} among them; doctor runs on ${process.versions.node}`);
}

/** What `make dev` and `make test` would run their database with. */
export async function lookAtDatabase(limitMilliseconds: number): Promise<Finding> {
  const { DATABASE_HOST } = process.env;
  if (DATABASE_HOST) return good(`DATABASE_HOST names one: ${DATABASE_HOST}`);
  const program = findServer();
  if (program !== undefined) {
    const version = await output(program, ['--version'], { limitMilliseconds });
    const [, number = ''] = /Ver (\d+\.\d+\.\d+)/.exec(version) ?? [];
    return good(`${version.includes('MariaDB') ? 'MariaDB' : 'MySQL'} ${number}, ${program}`);
  }
  const { mark } = await lookAtTool('docker', limitMilliseconds);
  if (mark === '✓') return good(`${IMAGE} in Docker`);
  const says = 'no MariaDB or MySQL server, and no Docker that could run one';
  return (await installation()) === undefined
    ? wrong(says, remedyHere(server))
    : note(`${says}: make dev and make test can install MariaDB, if you agree`, remedyHere(server));
}

/** Whether `make dev` could have the port that a variable names. */
export async function lookAtPort(variable: 'PORT' | 'METRICS_PORT', port: number): Promise<Finding> {
  const holder = await holderOf(port);
  if (holder === undefined) return good('free');
  const other = `${variable}=${port + 55} make dev`;
  if (isOurs(holder)) return note(`the cluster ${clusterName()} has it`, `for make dev beside it: ${other}`);
  if (holder.isService) return note(`${holder.name} has it`, `for another one beside it: ${other}`);
  return wrong(`${holder.name} has it`, remedyFor(holder), `or ${other}`);
}

/** The cluster of `make up`; where there is none, whether it could have its port. */
export async function lookAtCluster(limitMilliseconds: number): Promise<Finding> {
  const name = clusterName();
  const container = ['ps', '--all', '--filter', `name=^${name}-control-plane$`, '--format', '{{.State}} {{.Ports}}'];
  const found = await output('docker', container, { limitMilliseconds }).catch(withoutDocker);
  if (typeof found !== 'string') return found;
  const [, published = ''] = /:(\d+)->30500/.exec(found) ?? [];
  if (found.startsWith('running')) return good(`${name} is there${published && `, on port ${published}`}`);
  if (found !== '') return note(`${name} is there, and ${found.split(' ')[0]}`, 'make up starts it again');

  const [, standard = ''] = /hostPort: (\d+)/.exec(readFileSync('local-kind/cluster.yaml', 'utf8')) ?? [];
  const port = Number(process.env.PORT || standard);
  const holder = await holderOf(port);
  if (holder) {
    const says = `${name} is not there yet, and ${holder.name} has its port ${port}`;
    return wrong(says, remedyFor(holder), `or make up PORT=${port + 1}`);
  }
  return good(`${name} is not there yet; its port ${port} is free`);
}

/** Whose the AWS credentials are. Throws a Refusal that says what to do when they are none or no good. */
export async function lookAtCredentials(limitMilliseconds: number): Promise<Finding> {
  const { account, arn } = await identity(limitMilliseconds);
  return good(`account ${account}, as ${arn}`);
}

function clusterName(): string {
  return process.env.CLUSTER || 'plusone';
}

function isOurs({ containers }: Holder): boolean {
  return containers.includes(`${clusterName()}-control-plane`);
}

function remedyFor({ name, remedy }: Holder): string {
  // It takes port 5000 on macOS, and few know.
  return name.startsWith('ControlCe') ? 'System Settings, General, AirDrop & Handoff: AirPlay Receiver off' : remedy;
}
