import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { displayed, readText } from '../manifest/workspace.ts';
import { isSame, isValueMap, mapOf, Template, TemplateError, toValue, type Value, type ValueMap } from './template.ts';
import { detach, type Facts } from './transform.ts';

const sections = ['Parameters', 'Mappings', 'Conditions', 'Resources', 'Outputs'] as const;
/** The parameters that Copilot passes to addons. */
const given = new Set(['App', 'Env', 'Name']);

/**
 * The differences between a workload's addons in the workspace and the deployed nested stack: a line for each, with file
 * and entry. `parameters` are those that the workload's template passes to the nested stack, with imports in the place of
 * the controller's attributes once it is detached. Copilot merges the files of
 * the folder into one template. Code in local files is not compared.
 * https://github.com/aws/copilot-cli/blob/v1.34.1/internal/pkg/addon/addons.go
 */
export function addonEdits(
  folder: string,
  deployed: string | undefined,
  parameters: ValueMap,
  facts: Omit<Facts, 'priorities' | 'physicalIds'>,
): string[] {
  const names = existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => /\.ya?ml$/.test(name))
        .toSorted()
    : [];
  const isParameters = (name: string) => /^addons\.parameters\.ya?ml$/.test(name);
  const found: string[] = [];
  const theirs = deployed === undefined ? {} : templateOf(deployed, 'the deployed addons');
  const seen = new Set<string>();
  for (const name of names.filter((name) => !isParameters(name))) {
    const { text, name: file } = readText(join(folder, name));
    const ours = templateOf(text, file);
    for (const section of sections) {
      for (const [id, value] of Object.entries(mapOf(ours[section]))) {
        seen.add(`${section}.${id}`);
        const other = mapOf(theirs[section])[id];
        if (other === undefined) found.push(`${file}: ${section}.${id} is new`);
        else if (!isSameEntry(value, other)) found.push(`${file}: ${section}.${id} is edited`);
      }
    }
  }
  for (const section of sections)
    for (const id of Object.keys(mapOf(theirs[section])))
      if (!seen.has(`${section}.${id}`))
        found.push(`${displayed(folder)}: ${section}.${id} is deployed and in no file`);
  const file = names.find(isParameters);
  const text = file === undefined ? '' : readText(join(folder, file)).text;
  const own = file === undefined ? {} : mapOf(templateOf(text, file).Parameters);
  const imported = file === undefined ? {} : detachedParameters(text, file, facts);
  for (const id of new Set([...Object.keys(own), ...Object.keys(parameters)].filter((id) => !given.has(id))))
    if (!isSame(own[id], parameters[id]) && !isSame(imported[id], parameters[id]))
      found.push(`${displayed(join(folder, file ?? ''))}: the parameter ${id} is edited`);
  return found;
}

/** The parameters in the text of a file as a detached template passes them. */
function detachedParameters(text: string, file: string, facts: Omit<Facts, 'priorities' | 'physicalIds'>): ValueMap {
  const template = new Template(
    `Parameters: { AppName: { Type: String }, EnvName: { Type: String } }
Resources:
  EnvControllerAction: { Type: Custom::EnvControllerFunction }
  AddonsStack:
    Type: AWS::CloudFormation::Stack
    Properties:
${text.replaceAll(/^(?=.)/gm, '      ')}
`,
    file,
  );
  const detached = detach(template, { ...facts, priorities: {}, physicalIds: {} });
  return mapOf(detached.resources().get('AddonsStack')?.properties.Parameters);
}

function templateOf(text: string, file: string): ValueMap {
  const document = parseDocument(text, { schema: 'failsafe', logLevel: 'silent' });
  const [error] = document.errors;
  if (error) throw new TemplateError(`${file}: ${error.message}`);
  return mapOf(toValue(document.contents));
}

/** Whether both are the same, except for local paths, which Copilot replaces by uploaded files. */
function isSameEntry(ours: Value, theirs: Value): boolean {
  if (typeof ours === 'string' && isUploaded(theirs)) return true;
  if (Array.isArray(ours) && Array.isArray(theirs))
    return ours.length === theirs.length && ours.every((item, i) => isSameEntry(item, theirs[i] ?? null));
  if (!isValueMap(ours) || !isValueMap(theirs)) return isSame(ours, theirs);
  const keys = Object.keys(ours);
  return (
    keys.length === Object.keys(theirs).length &&
    keys.every((key) => key in theirs && isSameEntry(ours[key] ?? null, theirs[key] ?? null))
  );
}

function isUploaded(value: Value): boolean {
  if (typeof value === 'string') return /^(s3|https):\/\/.*\/manual\//.test(value);
  return isValueMap(value) && Object.keys(value).some((key) => /^(S3)?(Bucket|Key)$/.test(key));
}
