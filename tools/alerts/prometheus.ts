/** The definition of alarms → the alerting rules of the kind cluster's Prometheus. */
import { stringify } from 'yaml';
import { type Alarm, SLOW } from './alarms.ts';
import { runbookOf } from './runbook.ts';

/** Where `make dashboard` shows the dashboard; its uid is in tools/dashboard/grafana.ts. */
const DASHBOARD = 'http://localhost:3000/d/plusone';

/** Not for people: Alertmanager calls the scaler's webhook with it, as the alarm SlowAnswers in scaler.yml invokes it on AWS. */
function slowAnswers(minuteSeconds: number) {
  return {
    alert: 'SlowAnswers',
    expr: SLOW.replaceAll('MINUTE', `${minuteSeconds}s`),
    labels: { service: 'plusone', severity: 'scale' },
    annotations: { summary: 'plusone has a p99 response time above 500 ms; has the scaler look at once' },
  };
}

/**
 * The rules file, which Prometheus reads. An alert has the labels `service` and `severity` (page or inform), and what a
 * person needs as annotations. `minuteSeconds` is how long a minute lasts: a test has shorter ones.
 */
export function prometheusRules(alarms: readonly Alarm[], minuteSeconds = 60): string {
  const rules = alarms.flatMap(({ name, what, prometheus }) =>
    'missing' in prometheus
      ? []
      : [
          {
            alert: name,
            expr: prometheus.expression.replaceAll('MINUTE', `${minuteSeconds}s`),
            for: `${Math.ceil((prometheus.forSeconds * minuteSeconds) / 60)}s`,
            labels: { service: 'plusone', severity: prometheus.pages ? 'page' : 'inform' },
            annotations: { summary: `plusone ${what}`, runbook: runbookOf(name), dashboard: DASHBOARD },
          },
        ],
  );
  const interval = `${Math.max(1, Math.round(minuteSeconds / 30))}s`;
  const groups = [
    { name: 'plusone', interval, rules },
    { name: 'scaler', interval, rules: [slowAnswers(minuteSeconds)] },
  ];
  return `# Made from tools/alerts/alarms.ts by \`npm run alerts:build\`: change that, not this.\n${stringify({ groups }, { lineWidth: 0, aliasDuplicateObjects: false })}`;
}
