import { checkWorkspace } from '../../manifest/check.ts';
import { openWorkspace } from '../../manifest/workspace.ts';
import { version } from '../terminal/version.ts';
import { command, oneOf, workspaceOptions } from './command.ts';
import { exitCodes } from './exit.ts';
import { formatFindings, formats } from './findings.ts';

const { workspace, help } = workspaceOptions;

export const checkCommand = command({
  name: 'check',
  summary: 'Say what Copilot refuses or ignores in the workspace, and what AWS will soon refuse',
  details:
    'Reads every manifest as Copilot 1.34.1 reads it, for every environment, and the addons and overrides beside them. Ends with 1 when there is an error; with --strict, which is the default where CI=true, also when there is a warning. Notes change nothing.',
  options: {
    workspace,
    format: {
      type: 'string',
      short: 'f',
      value: 'FORMAT',
      choices: formats,
      help: 'sarif is for code scanning, github writes annotations into a pull request (default: text)',
    },
    json: { type: 'boolean', help: 'the same as --format json' },
    strict: { type: 'boolean', help: 'fail for a warning too; default where CI=true' },
    lenient: { type: 'boolean', help: 'fail for errors only, even where CI=true' },
    help,
  },
  examples: [
    ['plusone check', 'on a terminal'],
    ['plusone check --format github', 'in a step of GitHub Actions'],
    ['plusone check --format sarif > plusone.sarif', 'for github/codeql-action/upload-sarif'],
  ],
  run(values) {
    const found = openWorkspace(values.workspace);
    const findings = checkWorkspace(found, process.env);
    const format = values.json ? 'json' : oneOf('--format', values.format ?? 'text', formats);
    const text = formatFindings(findings, format, { root: found.root, version });
    if (text !== '') console.log(text);
    const strict = !values.lenient && (values.strict ?? process.env.CI === 'true');
    const fails = findings.some(({ level }) => level === 'error' || (strict && level === 'warning'));
    return fails ? exitCodes.failed : exitCodes.done;
  },
});
