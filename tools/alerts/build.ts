/** `npm run alerts:build`: generates the CloudWatch alarms and the Prometheus rules from the definition. */
import { readFileSync, writeFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { type Alarm, alarms } from './alarms.ts';
import { certificateTemplate, cloudWatchAddon, uptimeTemplate } from './cloudwatch.ts';
import { prometheusRules } from './prometheus.ts';

const MANIFEST = 'copilot/plusone/manifest.yml';
const range = z.object({ count: z.object({ range: z.string().regex(/^\d+-\d+$/) }) });

function declaredAlarms(): readonly Alarm[] {
  const manifest: unknown = parse(readFileSync(MANIFEST, 'utf8'), { merge: true });
  const [, maximum] = range.parse(manifest).count.range.split('-');
  return alarms(Number(maximum));
}

/** The rules of Prometheus, with a minute of this length. */
export function alertRules(minuteSeconds: number): string {
  return prometheusRules(declaredAlarms(), minuteSeconds);
}

/** The generated files and their text. */
export function alertFiles(): Readonly<Record<string, string>> {
  const all = declaredAlarms();
  return {
    'copilot/plusone/addons/alarms.yml': cloudWatchAddon(all),
    'tools/aws/uptime.yml': uptimeTemplate(all),
    'tools/aws/certificate.yml': certificateTemplate(all),
    'tools/dashboard/kubernetes/alerts.yml': prometheusRules(all),
  };
}

if (import.meta.main) for (const [file, text] of Object.entries(alertFiles())) writeFileSync(file, text);
