import { globSync, readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { expect } from 'chai';
import { parse } from 'yaml';
import type { WorkloadType } from '../../manifest/fields.ts';
import { workloadTypes } from '../../manifest/fields.ts';
import { rows } from '../../manifest/mapping.ts';
import { manifestSchema } from '../../manifest/schema.ts';
import { webService } from '../k8s/workload.ts';
import { accepted } from './examples.ts';

const ajv = new Ajv({ allowUnionTypes: true, strictTypes: false, strictRequired: false, strictNumbers: false });
const validate = ajv.compile(manifestSchema());

/** What the schema says against the manifest: the places of its errors. */
function errorsOf(manifest: string): string[] {
  return validate(parse(manifest))
    ? []
    : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

describe('the JSON Schema of manifests', () => {
  it('is a schema by the meta-schema of draft 7', () => {
    expect(ajv.validateSchema(manifestSchema())).to.equal(true);
  });

  for (const file of globSync(['copilot/*/manifest.yml', 'test/workspaces/*/copilot/*/manifest.yml'])) {
    if (file.includes('environments')) continue;
    it(`accepts ${file}`, () => {
      expect(errorsOf(readFileSync(file, 'utf8'))).to.deep.equal([]);
    });
  }

  for (const text of accepted) {
    it(`accepts ${text.split('\n').slice(1).join(' | ').slice(0, 300)}`, () => {
      expect(errorsOf(text)).to.deep.equal([]);
    });
  }

  for (const [line, place] of [
    ['cpuu: 256', ' must NOT have additional properties'],
    ['cpu: lots', '/cpu must be integer,null'],
    ['http: { path: /, healthcheck: { timout: 3s } }', '/http/healthcheck must NOT have additional properties'],
    ['deployment: { rolling: blue }', '/deployment/rolling must be equal to one of the allowed values'],
    ['http: { path: /, deregistration_delay: 5 }', '/http/deregistration_delay must be string,null'],
    ['environments: { test: { memory: a } }', '/environments/test/memory must be integer,null'],
  ] as const) {
    it(`refuses ${line}`, () => {
      expect(errorsOf(webService(line))).to.include(place);
    });
  }

  it('refuses a field of another type of workload', () => {
    const worker = 'name: w\ntype: Worker Service\nimage: { build: D }';
    expect(errorsOf(worker)).to.deep.equal([]);
    expect(errorsOf(`${worker}\nhttp: { path: / }`)).to.include(' must NOT have additional properties');
  });

  it('explains every field at the top, for each type', () => {
    const { definitions } = manifestSchema() as { definitions: Record<string, { properties: Record<string, object> }> };
    for (const type of Object.keys(workloadTypes) as WorkloadType[]) {
      const properties = definitions[type.replaceAll(' ', '')]?.properties ?? {};
      const top = rows(type).filter(({ path }) => !/[.[]/.test(path));
      for (const { path } of top) expect(properties[path], `${type}: ${path}`).to.have.property('description');
    }
  });
});
