import { addResource } from '../new/add.ts';
import { parseFields } from '../new/fields.ts';
import { pluralOf, resourceName } from '../new/names.ts';
import { projectFolder } from '../new/project.ts';
import { say } from '../terminal/progress.ts';
import { command } from './command.ts';
import { exitCodes } from './exit.ts';
import { fieldOption, migrationTime } from './new.ts';

export const addResourceCommand = command({
  name: 'add resource',
  summary: 'Add a resource to the service of this folder',
  details:
    'Writes its schema, model, routes, migration and tests, and adds it to src/resources.ts and src/migrations/index.ts. It overwrites nothing, and a second run does nothing.',
  operands: 'NAME',
  options: { field: fieldOption, help: { type: 'boolean', short: 'h', help: 'this text' } },
  examples: [
    ['plusone add resource customer --field name:text --field contact:email:optional', 'with the path /customers'],
  ],
  run(values, [given = '']) {
    const name = resourceName(given, 'NAME');
    const fields = values.field ?? ['label:text'];
    parseFields(fields);
    const { written, byHand } = addResource(projectFolder(), name, fields, migrationTime());
    if (written.length === 0 && byHand.length === 0)
      say(`the service has the resource ${name} already; nothing changed`);
    else
      say(
        [
          ...written.map((path) => `wrote ${path}`),
          `the path is /${pluralOf(name)}, its page /#${pluralOf(name)}`,
        ].join('\n'),
      );
    for (const path of byHand)
      say(`${path} has no list in the form that plusone new wrote: add ${pluralOf(name)} to it by hand`);
    return byHand.length === 0 ? exitCodes.done : exitCodes.failed;
  },
});
