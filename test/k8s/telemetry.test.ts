import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { readManifest } from '../../manifest/manifest.ts';
import { objectsOf, only } from './workload.ts';

/** The manifest with the lines on telemetry that are comments. */
const text = readFileSync('copilot/plusone/manifest.yml', 'utf8').replace(
  / {4}# Traces and metrics.*?(?= {2}# The kind cluster)/s,
  (block) =>
    block
      .split('\n')
      .map((line) =>
        line.replace(
          /^ {4}# (?= *(variables|sidecars|OTEL_|TELEMETRY_|otel-|image|build|dockerfile|context|args|essential|secrets))/,
          '    ',
        ),
      )
      .join('\n'),
);
const manifest = readManifest(text, 'manifest.yml', { application: 'plusone', environment: 'prod', shell: {} });

describe('the lines on telemetry in the manifest', () => {
  it('have no effect while they are commented out', () => {
    const off = readManifest(readFileSync('copilot/plusone/manifest.yml', 'utf8'), 'manifest.yml', {
      application: 'plusone',
      environment: 'prod',
      shell: {},
    });
    expect(Object.keys(off.fields.sidecars ?? {})).to.deep.equal(['migrate']);
  });

  it('declare a collector that is not essential, and whose name sorts after migrate', () => {
    expect(Object.keys(manifest.fields.sidecars ?? {}).toSorted()).to.deep.equal(['migrate', 'otel-collector']);
    expect(manifest.fields.sidecars?.['otel-collector']).to.include({ essential: false });
    expect(manifest.warnings).to.deep.equal([]);
  });

  it('run the collector along with the service in a cluster too, with the key from a Secret', () => {
    const { spec } = only(objectsOf(text, { manifest, environment: 'prod' }), 'Deployment', 'plusone').spec.template;
    const along: { name: string; restartPolicy?: string; env: object[] }[] = [
      ...spec.containers,
      ...spec.initContainers.filter(({ restartPolicy }: { restartPolicy?: string }) => restartPolicy === 'Always'),
    ];
    const collector = along.find(({ name }) => name === 'otel-collector');
    expect(collector?.env.find((one) => 'name' in one && one.name === 'TELEMETRY_KEY')).to.have.nested.property(
      'valueFrom.secretKeyRef',
    );
  });
});
