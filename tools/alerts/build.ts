/** `npm run alerts:build`: generates the CloudWatch alarms and the Prometheus rules from the definition. */
import { readFileSync, writeFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { alarms } from './alarms.ts';
import { cloudWatchAddon, uptimeTemplate } from './cloudwatch.ts';
import { prometheusRules } from './prometheus.ts';

const MANIFEST = 'copilot/plusone/manifest.yml';
const range = z.object({ count: z.object({ range: z.string().regex(/^\d+-\d+$/) }) });

/** The generated files and their text. */
export function alertFiles(): Readonly<Record<string, string>> {
  const manifest: unknown = parse(readFileSync(MANIFEST, 'utf8'), { merge: true });
  const [, maximum] = range.parse(manifest).count.range.split('-');
  const all = alarms(Number(maximum));
  return {
    'copilot/plusone/addons/alarms.yml': cloudWatchAddon(all),
    'tools/aws/uptime.yml': uptimeTemplate(all),
    'tools/dashboard/kubernetes/alerts.yml': prometheusRules(all),
  };
}

if (import.meta.main) for (const [file, text] of Object.entries(alertFiles())) writeFileSync(file, text);
