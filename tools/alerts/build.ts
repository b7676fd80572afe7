/** `npm run alerts:build`: generates the CloudWatch alarms and the Prometheus rules from the definition. */
import { readFileSync, writeFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { type Alarm, alarms } from './alarms.ts';
import { certificateTemplate, cloudWatchAddon, uptimeTemplate } from './cloudwatch.ts';
import { prometheusRules } from './prometheus.ts';

const MANIFEST = 'copilot/plusone/manifest.yml';
const tasks = z.int().positive();
const range = z.union([
  z.object({ max: tasks }).transform(({ max }) => max),
  z
    .string()
    .regex(/^\d+-\d+$/)
    .transform((text) => Number(text.split('-')[1])),
]);
const most = z.union([
  tasks,
  z.object({ range }).transform(({ range }) => range),
  z.object({ spot: tasks }).transform(({ spot }) => spot),
]);

/** The most tasks that a manifest allows: https://aws.github.io/copilot-cli/docs/manifest/lb-web-service/#count */
export function maximumOf(manifest: unknown): number {
  return z.object({ count: most.default(1) }).parse(manifest).count;
}

function declaredAlarms(): readonly Alarm[] {
  return alarms(maximumOf(parse(readFileSync(MANIFEST, 'utf8'), { merge: true })));
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
