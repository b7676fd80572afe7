import { createInterface } from 'node:readline/promises';
import { UsageError } from '../../k8s/errors.ts';
import { create } from '../new/create.ts';
import { fieldTypes, parseFields } from '../new/fields.ts';
import { pluralOf, resourceName, serviceName, singularOf } from '../new/names.ts';
import { say } from '../terminal/progress.ts';
import { requireTools } from '../terminal/requirements.ts';
import { version } from '../terminal/version.ts';
import { AFTER_INSTALLING, command, wholeNumber } from './command.ts';
import { exitCodes } from './exit.ts';

const DEFAULT_PORT = 5000;
/** `/metrics` has it. */
const METRICS_PORT = 9464;

export const fieldOption = {
  type: 'string',
  short: 'f',
  value: 'NAME:TYPE',
  multiple: true,
  help: `a field; give the option once for each. The types are ${fieldTypes.join(', ')}; with NAME:TYPE:optional clients may leave it out (default: label:text)`,
} as const;

/** The time as migrations have it in their names: YYYYMMDDhhmmss. */
export const migrationTime = (now = new Date()) =>
  now
    .toISOString()
    .replace(/[^0-9]/g, '')
    .slice(0, 14);

export const newCommand = command({
  name: 'new',
  summary: 'Write the repository of a new REST service on MySQL',
  details:
    'With routes, validation, OpenAPI, a migration, a page, tests, a Copilot manifest with a database, a workflow and a dev container. What services have in common is in the package plusone-service. On a terminal it asks for what no option states.',
  operands: '[NAME]',
  options: {
    resource: {
      type: 'string',
      short: 'r',
      value: 'NAME',
      help: 'the first resource, in the singular, such as order (default: from NAME)',
    },
    field: fieldOption,
    port: { type: 'string', short: 'p', value: 'PORT', help: `the port of the service (default: ${DEFAULT_PORT})` },
    directory: { type: 'string', short: 'd', value: 'DIR', help: 'the folder, empty or new (default: NAME)' },
    help: { type: 'boolean', short: 'h', help: 'this text' },
  },
  examples: [
    ['plusone new orders --field total:decimal', 'the service orders with the resource order'],
    ['plusone new my-shop -r item -f name:text -f price:decimal -p 8080', 'another resource, two fields, port 8080'],
    ['npm create plusone@latest orders -- --field total:decimal', 'as the first one, from the package on npm'],
  ],
  async run(values, operands) {
    // An open terminal would keep the process from ending.
    using questions = process.stdin.isTTY && process.stdout.isTTY ? new Questions() : undefined;
    const ask = (text: string) => questions?.ask(text);
    const given = operands[0] ?? (await ask('Name of the service, such as orders'));
    if (given === undefined || given === '')
      throw new UsageError('NAME is missing: the name of the service, such as orders');
    const name = serviceName(given);
    const noun = singularOf(name.split('-').at(-1) ?? name).replace(/^[0-9]+/, '');
    const resource = resourceName(
      values.resource ?? ((await ask(`First resource, in the singular [${noun}]`)) || noun),
    );
    const fields =
      values.field ??
      (await ask('Its fields, such as total:decimal dueDate:date:optional [label:text]'))?.split(/[\s,]+/);
    const texts = fields?.filter(Boolean) ?? [];
    const stated = texts.length === 0 ? ['label:text'] : texts;
    parseFields(stated);
    const asked = values.port ?? ((await ask(`Port [${DEFAULT_PORT}]`)) || String(DEFAULT_PORT));
    const port = wholeNumber('--port', asked, 1024, 65535);
    if (port === METRICS_PORT) throw new UsageError(`--port ${port}: /metrics has that port; choose another one`);
    await requireTools(['git'], AFTER_INSTALLING);
    const directory = values.directory ?? name;
    await create(
      { version, name, port, resources: [{ name: resource, fields: stated, created: migrationTime() }] },
      directory,
    );
    say(`${directory}: the service ${name} with /${pluralOf(resource)}

cd ${directory}
make dev     http://localhost:${port}, with a private database
make test    all tests
make up      in a kind cluster`);
    return exitCodes.done;
  },
});

/** Asks on the terminal; what is typed ahead answers the next question. Ctrl-C and Ctrl-D end the process. */
class Questions {
  readonly #terminal = createInterface({ input: process.stdin });
  readonly #lines = this.#terminal[Symbol.asyncIterator]();

  async ask(text: string): Promise<string> {
    process.stdout.write(`${text}: `);
    const { done, value } = await this.#lines.next();
    if (done === true) {
      process.stdout.write('\n');
      process.exit(exitCodes.interrupted);
    }
    return value.trim();
  }

  [Symbol.dispose](): void {
    this.#terminal.close();
  }
}
