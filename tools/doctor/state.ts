/** Checks of Plusone's state: dependencies, a database server, ports, the cluster, the AWS account. */
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

/** Checks the dependencies by the rule of the Makefile. */
export function lookAtDependencies(): Finding {
  if (!existsSync(INSTALLED)) return note('not installed; the next make that needs them installs them in a minute');
  if (statSync(INSTALLED).mtimeMs < statSync('package-lock.json').mtimeMs)
    return note('older than package-lock.json; the next make that needs them updates them');
  const node: { version: string } = JSON.parse(readFileSync(NODE, 'utf8'));
  return good(`installed, with Node ${node.version}; doctor runs on ${process.versions.node}`);
}

/** Checks the database server of `make dev` and `make test`. */
export async function lookAtDatabase(limitMilliseconds: number): Promise<Finding> {
  const { DATABASE_HOST } = process.env;
  if (DATABASE_HOST) return good(`DATABASE_HOST=${DATABASE_HOST}`);
  const program = findServer();
  if (program !== undefined) {
    const version = await output(program, ['--version'], { limitMilliseconds });
    const [, number = ''] = /Ver (\d+\.\d+\.\d+)/.exec(version) ?? [];
    return good(`${version.includes('MariaDB') ? 'MariaDB' : 'MySQL'} ${number}, ${program}`);
  }
  const { mark } = await lookAtTool('docker', limitMilliseconds);
  if (mark === '✓') return good(`${IMAGE} in Docker`);
  const says = 'no MariaDB or MySQL server, and no Docker to run one';
  return (await installation()) === undefined
    ? wrong(says, remedyHere(server))
    : note(`${says}; make dev and make test can install MariaDB if you agree`, remedyHere(server));
}

/** Checks whether `make dev` can use the port that a variable names. */
export async function lookAtPort(variable: 'PORT' | 'METRICS_PORT', port: number): Promise<Finding> {
  const holder = await holderOf(port);
  if (holder === undefined) return good('free');
  const other = `${variable}=${port + 55} make dev`;
  if (isOurs(holder)) return note(`in use by the cluster ${clusterName()}`, `to run make dev as well: ${other}`);
  if (holder.isService) return note(`in use by ${holder.name}`, `to run another one: ${other}`);
  return wrong(`in use by ${holder.name}`, remedyFor(holder), `or ${other}`);
}

/** Checks the cluster of `make up`; if there is none, whether its port is free. */
export async function lookAtCluster(limitMilliseconds: number): Promise<Finding> {
  const name = clusterName();
  const container = ['ps', '--all', '--filter', `name=^${name}-control-plane$`, '--format', '{{.State}} {{.Ports}}'];
  const found = await output('docker', container, { limitMilliseconds }).catch(withoutDocker);
  if (typeof found !== 'string') return found;
  const [, published = ''] = /:(\d+)->30500/.exec(found) ?? [];
  if (found.startsWith('running')) return good(`${name} runs${published && `, on port ${published}`}`);
  if (found !== '') return note(`${name} exists and is ${found.split(' ')[0]}`, 'make up starts it');

  const [, standard = ''] = /hostPort: (\d+)/.exec(readFileSync('local-kind/cluster.yaml', 'utf8')) ?? [];
  const port = Number(process.env.PORT || standard);
  const holder = await holderOf(port);
  if (holder) {
    const says = `${name} does not exist, and its port ${port} is in use by ${holder.name}`;
    return wrong(says, remedyFor(holder), `or make up PORT=${port + 1}`);
  }
  return good(`${name} does not exist; its port ${port} is free`);
}

/**
 * Reports the identity of the AWS credentials.
 * @throws {Refusal} with what to do if there are none or they are invalid
 */
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
  // The AirPlay receiver of macOS uses port 5000.
  return name.startsWith('ControlCe') ? 'System Settings, General, AirDrop & Handoff: AirPlay Receiver off' : remedy;
}
