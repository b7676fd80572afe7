import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { displayed, openWorkspace } from '../manifest/workspace.ts';
import { synthesize, synthesizeRoutes } from './chart.ts';
import { layOut, type ObjectFile, write } from './files.ts';
import { siteFolder } from './images.ts';
import { skeleton } from './inputs.ts';
import { files, readOptions, type SynthValues } from './options.ts';
import { readWorkloads, warningsOf } from './read.ts';
import { report, reportRoutes, summary } from './report.ts';
import { routesOf, withoutHidden } from './routes.ts';
import { writeSite } from './static-site.ts';

/**
 * Writes the workloads of a workspace as Kubernetes objects, and files for missing secrets and values; prints the
 * report. Throws a UsageError, WrongFiles, StrictError, DocumentError or MissingInput before anything is written.
 */
export function synth(values: SynthValues) {
  const options = readOptions(values);
  const { layout } = options;
  const workspace = openWorkspace(options.workspace);
  const output = options.output ?? join(workspace.root, 'k8s', 'dist');
  const toFile = output !== '-';
  const workloads = readWorkloads(workspace, options);
  for (const warning of warningsOf(workloads)) console.error(`warning: ${warning}`);
  const { routes, hidden } = withoutHidden(options.routes === 'none' ? [] : routesOf(workloads));
  const [first] = workloads;
  const level = first?.namespaceLevel ?? 'baseline';
  const outputs = workloads.map((workload) => {
    const synthesis = synthesize(workload, { level, routed: routes.length > 0 });
    return { workload, manifest: workload.manifest, synthesis, name: `${workload.manifest.name}.k8s.yaml` };
  });
  const gateway = options.routes === 'gateway' ? (options.gateway ?? first?.application ?? '') : undefined;
  const routing = first && routes.length > 0 ? synthesizeRoutes(first, routes, level, gateway) : undefined;

  const objectFiles: ObjectFile[] =
    layout === 'workload'
      ? [
          ...outputs.map(({ name, synthesis, workload }) => ({
            name,
            text: synthesis.app.synthYaml(),
            secret: workload.secretValues !== undefined,
          })),
          ...(routing ? [{ name: files.routes, text: routing.synthYaml(), secret: false }] : []),
        ]
      : layOut([...outputs.map(({ synthesis }) => synthesis.app), ...(routing ? [routing] : [])], layout);

  const [one] = objectFiles;
  const path = (name: string) => (toFile ? displayed(join(output, layout === 'one' && one ? one.name : name)) : name);
  const reports = outputs.map(({ workload, synthesis, name }) => report(workload, synthesis, level, path(name)));
  if (routing) reports.push(reportRoutes(routes, hidden, options.routes, path(files.routes)));
  if (toFile) {
    for (const file of objectFiles) write(output, file);
    for (const workload of workloads) {
      const isSite = workload.manifest.type === 'Static Site';
      if (isSite) writeSite(join(output, siteFolder(workload)), workload.siteFiles);
    }
  } else process.stdout.write(one?.text ?? '');
  for (const { name, text, option, secret } of toFile ? skeletons() : []) {
    // The user may have filled it in.
    if (!existsSync(join(output, name))) write(output, { name, text, secret });
    reports.push(
      `${displayed(join(output, name))}: values that are missing; fill them in and pass the file to ${option}`,
    );
  }
  reports.push(summary(workloads, level, toFile ? displayed(output) : output));
  const text = options.json ? JSON.stringify(outputs.map(jsonReport), undefined, 2) : reports.join('\n\n');
  (toFile ? console.log : console.error)(text);

  function jsonReport({ workload, synthesis, name }: (typeof outputs)[number]) {
    const { namespace, builtImages, secrets, variables, adapted, unsupported } = synthesis;
    return {
      workload: workload.manifest.name,
      file: path(name),
      namespace,
      images: Object.fromEntries(builtImages),
      secrets: Object.fromEntries(secrets),
      variables: Object.fromEntries(variables),
      adapted,
      unsupported,
    };
  }

  function skeletons() {
    const lacking = [
      {
        name: files.secrets,
        option: '--secrets-from',
        given: options['secrets-from'] !== undefined || options['external-secrets'],
        of: 'secrets',
        instruction: 'Fill in the values, keep the file out of Git, and pass it to --secrets-from.',
      },
      {
        name: files.values,
        option: '--values',
        given: options.values !== undefined,
        of: 'variables',
        instruction: 'Fill in the values, and pass the file to --values.',
      },
    ] as const;
    return lacking.flatMap(({ name, option, given, of, instruction }) => {
      const text = skeleton(
        outputs.map(({ manifest, synthesis }) => ({ manifest, wanted: synthesis[of] })),
        instruction,
      );
      return given || text === undefined ? [] : [{ name, option, text, secret: of === 'secrets' }];
    });
  }
}
