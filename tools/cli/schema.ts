import { manifestSchema } from '../../manifest/schema.ts';
import { command, workspaceOptions } from './command.ts';

/** `plusone schema`: the JSON Schema of a manifest, for editors. */
export const schemaCommand = command({
  name: 'schema',
  summary: 'Print the JSON Schema of a manifest, for editors',
  details:
    'With "# yaml-language-server: $schema=FILE" in its first line, editors complete and explain the fields of a manifest.',
  options: { help: workspaceOptions.help },
  examples: [['plusone schema > manifest.schema.json', 'for every manifest of any type']],
  run() {
    console.log(JSON.stringify(manifestSchema(), null, 2));
    return 0;
  },
});
