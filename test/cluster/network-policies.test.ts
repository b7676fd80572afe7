import { expect } from 'chai';
import { z } from 'zod';
import { ask, fields } from './cluster.ts';

const selector = z.object({ matchLabels: z.record(z.string(), z.string()) });
const policy = z.object({
  spec: z.object({
    podSelector: selector,
    ingress: z
      .array(
        z.object({
          from: z.array(z.strictObject({ podSelector: selector })).optional(),
          ports: z.array(z.object({ port: z.union([z.string(), z.int()]) })),
        }),
      )
      .default([]),
  }),
});

/** The pods by what they are called, not by the labels that the policies go by. */
const service = /^plusone-[0-9a-f]+-[0-9a-z]{5}$/;
const mysql = /^mysql-0$/;
const ssm = /^ssm-/;
const seed = /^seed-/;

// Whether policies are enforced is up to the cluster's network plug-in; that they say the right thing is up to us.
describe('the network policies', function () {
  this.timeout(60_000);

  it('let only the service, its migrations and make shell reach MySQL', async () => {
    const { selected, admitted, ports } = await effect('mysql');
    expect(selected).to.deep.equal(await pods(mysql));
    expect(admitted).to.deep.equal(await pods(service, mysql));
    expect(ports).to.deep.equal(['mysql']);
  });

  it('let only the service, its migrations and the seed reach the SSM endpoint', async () => {
    const { selected, admitted, ports } = await effect('ssm');
    expect(selected).to.deep.equal(await pods(ssm));
    expect(admitted).to.deep.equal(await pods(service, seed));
    expect(ports).to.deep.equal(['http']);
  });

  it('allow no connections to the seed', async () => {
    const { selected, admitted, ports } = await effect('seed');
    expect(selected).to.deep.equal(await pods(seed));
    expect([...admitted, ...ports]).to.deep.equal([]);
  });

  it('allow connections only to the port of the service', async () => {
    const { selected, ports } = await effect('plusone');
    expect(selected).to.deep.equal(await pods(service));
    expect(ports).to.deep.equal([5000]);
  });
});

/** The pods that the policy in the cluster protects, those it lets in, and where. */
async function effect(name: string) {
  const { spec } = policy.parse(JSON.parse(await ask('get', 'networkpolicy', name, '-o', 'json')));
  const peers = spec.ingress.flatMap(({ from = [] }) => from.map(({ podSelector }) => podSelector));
  return {
    selected: await selectedBy(spec.podSelector),
    admitted: (await Promise.all(peers.map(selectedBy))).flat().toSorted(),
    ports: spec.ingress.flatMap(({ ports }) => ports.map(({ port }) => port)),
  };
}

async function selectedBy({ matchLabels }: z.infer<typeof selector>): Promise<string[]> {
  const labels = Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`);
  return (await fields('pods', labels.join(','), '.metadata.name')).toSorted();
}

async function pods(...names: RegExp[]): Promise<string[]> {
  const all = await fields('pods', '', '.metadata.name');
  const found = all.filter((pod) => names.some((name) => name.test(pod))).toSorted();
  expect(found).to.have.length.above(0);
  return found;
}
