import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { DeployedStack, Inventory } from '../../eject/inventory.ts';
import { resolve } from '../../eject/resolve.ts';
import { Template, textOf } from '../../eject/template.ts';

const parametersFile = z.object({ Parameters: z.record(z.string(), z.string()) });

/**
 * A stack as it would be if what `copilot package` wrote were deployed: every resource whose condition holds has a physical
 * id, which is the ARN of a certificate where a custom resource requests one. `path` is that of the two files without
 * their endings; `more` are parameters that the controller would set.
 */
export function packagedStack(
  path: string,
  name: string,
  workload: string | undefined,
  more: Readonly<Record<string, string>> = {},
): DeployedStack {
  const text = readFileSync(`${path}.${workload === undefined ? 'env' : 'stack'}.yml`, 'utf8');
  const suffix = workload === undefined ? '.env' : '';
  const file = parametersFile.parse(JSON.parse(readFileSync(`${path}${suffix}.params.json`, 'utf8')));
  const parameters = { ...file.Parameters, ...more };
  const pseudoParameters = { 'AWS::StackName': name, 'AWS::Region': 'us-west-2', 'AWS::Partition': 'aws' };
  const context = { parameters, pseudoParameters, physicalIds: {}, attributes: {}, exports: {} };
  const { resources, outputs } = resolve(new Template(text, name), context);
  const physicalIds = [...resources].map(([id, { type }]) => {
    const isCertificate = /^Custom::.*Cert/.test(type);
    return [id, { type, physicalId: isCertificate ? `arn:aws:acm:us-west-2::certificate/${id}` : `${id}-1` }] as const;
  });
  const rules = [...resources].filter(([, { type }]) => type === 'AWS::ElasticLoadBalancingV2::ListenerRule');
  const application = textOf(parameters.AppName) ?? '';
  return {
    name,
    id: `arn:aws:cloudformation:us-west-2:123456789012:stack/${name}/0`,
    kind: workload === undefined ? 'environment' : 'workload',
    ...(workload === undefined ? {} : { workload }),
    status: 'UPDATE_COMPLETE',
    template: text,
    parameters,
    tags: {
      'copilot-application': application,
      'copilot-environment': 'test',
      ...(workload === undefined ? {} : { 'copilot-service': workload }),
    },
    capabilities: [],
    outputs: Object.fromEntries(
      [...outputs].map(([id, { exportName }]) => [id, { value: id, ...(exportName ? { exportName } : {}) }]),
    ),
    resources: Object.fromEntries(physicalIds),
    priorities: Object.fromEntries(rules.map(([id]) => [id, '5'])),
    drift: {},
  };
}

/** The inventory of such stacks. */
export function packagedInventory(application: string, stacks: readonly DeployedStack[]): Inventory {
  const exports = stacks.flatMap(({ outputs }) =>
    Object.values(outputs).flatMap(({ value, exportName }) => (exportName ? [[exportName, value] as const] : [])),
  );
  return {
    application,
    environment: 'test',
    account: '123456789012',
    region: 'us-west-2',
    partition: 'aws',
    takenAt: '2026-11-29T00:00:00.000Z',
    stacks: [...stacks],
    exports: Object.fromEntries(exports),
  };
}
