import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { output } from '../terminal/programs.ts';
import type { Target } from './command.ts';

const template = z.object({ Resources: z.record(z.string(), z.object({ Type: z.string() })) });

/** The resources of a CloudFormation template as `type logical-id`, in their order. */
export function resources(text: string): string[] {
  // CloudFormation's tags such as !Ref are irrelevant here, so their warnings are hidden.
  const { Resources } = template.parse(parse(text, { logLevel: 'silent' }));
  return Object.entries(Resources).map(([name, { Type }]) => `${Type.padEnd(44)} ${name}`);
}

/** The templates that Copilot would deploy. */
export async function packaged(what: 'env' | 'svc', { service, environment }: Target, ...flags: string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'plusone-'));
  try {
    const which = what === 'env' ? ['--name', environment] : ['--name', service, '--env', environment];
    await output('copilot', [what, 'package', ...which, '--output-dir', folder, ...flags]);
    const names = {
      stack: what === 'env' ? `${environment}.env.yml` : `${service}-${environment}.stack.yml`,
      parameters: what === 'env' ? `${environment}.env.params.json` : `${service}-${environment}.params.json`,
      addons: what === 'env' ? 'env.addons.yml' : `${service}.addons.stack.yml`,
    };
    return {
      stack: readFileSync(join(folder, names.stack), 'utf8'),
      parameters: readFileSync(join(folder, names.parameters), 'utf8'),
      addons: readFileSync(join(folder, names.addons), 'utf8'),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
