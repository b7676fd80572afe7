import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { parse } from 'yaml';
import { alarms } from '../../../tools/alerts/alarms.ts';
import { alertFiles, maximumOf } from '../../../tools/alerts/build.ts';
import { runbookOf } from '../../../tools/alerts/runbook.ts';

const ALL = alarms(3);
const files = alertFiles();
const addonTemplate = parse(files['copilot/plusone/addons/alarms.yml'] ?? '');
const addon = addonTemplate.Resources;
const uptime = parse(files['tools/aws/uptime.yml'] ?? '').Resources;
const certificate = parse(files['tools/aws/certificate.yml'] ?? '').Resources;
const onAws = { ...addon, ...uptime, ...certificate };
const [{ rules }] = parse(files['tools/dashboard/kubernetes/alerts.yml'] ?? '').groups;

describe('the alarms', () => {
  for (const [file, text] of Object.entries(files)) {
    it(`are current in ${file}`, () => {
      expect(readFileSync(file, 'utf8') === text, `${file} is not current: npm run alerts:build`).to.equal(true);
    });
  }

  it('each have a section of the runbook, and each section an alarm', () => {
    const headings = [...readFileSync('docs/runbook.md', 'utf8').matchAll(/^## (\w+)$/gm)].map(([, name]) => name);
    expect(headings).to.have.members(ALL.map(({ name }) => name));
    for (const { name } of ALL) expect(runbookOf(name)).to.equal(`docs/runbook.md#${name.toLowerCase()}`);
  });

  it('each have a section in the runbook with the effect on clients, the first check and the fix', () => {
    const [, ...sections] = readFileSync('docs/runbook.md', 'utf8').split(/^## /m);
    for (const section of sections)
      for (const label of ['**Symptom**', '**Check**', '**Fix**']) expect(section).to.include(label);
  });

  it('say on AWS what is wrong, and where the runbook and the dashboard are', () => {
    for (const { name, what } of ALL.filter(({ cloudwatch }) => !('missing' in cloudwatch && !('of' in cloudwatch)))) {
      const text = onAws[name].Properties.AlarmDescription['Fn::Sub'];
      expect(text).to.include(what).and.include(runbookOf(name)).and.include('#dashboards/dashboard/');
      // https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
      expect(text.length).to.be.at.most(900);
    }
  });

  it('page on AWS only for what requires a person, and resolve where they page', () => {
    const paging = Object.entries<{ Properties: { AlarmActions?: object[]; OKActions?: object[] } }>(addon).filter(
      ([, { Properties }]) => JSON.stringify(Properties.AlarmActions ?? []).includes('PageTopic'),
    );
    expect(paging.map(([name]) => name)).to.deep.equal(['Outage', 'DatabaseFull']);
    for (const [, { Properties }] of paging) expect(Properties.OKActions).to.deep.equal(Properties.AlarmActions);
  });

  it('page from the stack of make uptime once for both checks', () => {
    expect(uptime.Unreachable.Properties.AlarmRule['Fn::Sub']).to.equal(
      `ALARM("\${PageUnreachable}") OR ALARM("\${BirthdayUnreachable}")`,
    );
    for (const name of ['PageUnreachable', 'BirthdayUnreachable']) {
      expect(uptime[name].Properties).to.not.have.any.keys('AlarmActions', 'OKActions');
      expect(uptime).to.include.keys(uptime[name].Properties.Dimensions[0].Value.Ref);
    }
    expect(uptime.Unreachable.Properties).to.deep.include({
      AlarmActions: [{ Ref: 'PageTopic' }],
      OKActions: [{ Ref: 'PageTopic' }],
    });
  });

  it('watch the dead letters exactly where logs are shipped', () => {
    // CloudFormation's own short forms are of no interest here.
    const logs = parse(readFileSync('copilot/environments/addons/logs.yml', 'utf8'), { logLevel: 'silent' });
    const isIn = ['all', 'Env'];
    expect(logs.Conditions.HasLogs[1].flatMap(([, where]: [string, string]) => where)).to.deep.equal(isIn);
    const [, where] = addonTemplate.Conditions.LogsAreShipped['Fn::And'];
    expect(where['Fn::Or'].map((one: { 'Fn::Equals': unknown[] }) => one['Fn::Equals'][1])).to.deep.equal([
      'all',
      { Ref: 'Env' },
    ]);
    expect(addon.LogsNotShipped.Condition).to.equal('LogsAreShipped');
  });

  it('combine only alarms that there are', () => {
    const named = [...addon.Outage.Properties.AlarmRule['Fn::Sub'].matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name);
    expect(named).to.have.length.above(3);
    expect(Object.keys(addon)).to.include.members(named);
  });

  it('are pages in Prometheus where they are part of a page on AWS', () => {
    const rule = addon.Outage.Properties.AlarmRule['Fn::Sub'];
    for (const { alert, labels, annotations } of rules) {
      const isPartAlone = rule.replace(/ OR \(ALARM.*$/, '').includes(`{${alert}}`) || alert === 'SlowAtMaximumSize';
      const isPage = isPartAlone || ALL.some(({ name, urgency }) => name === alert && urgency === 'page');
      expect(labels, alert).to.deep.equal({ service: 'plusone', severity: isPage ? 'page' : 'inform' });
      expect(annotations.runbook).to.equal(runbookOf(alert));
    }
  });

  it('have a reason where one of the two has none', () => {
    for (const { cloudwatch, prometheus } of ALL)
      for (const one of [cloudwatch, prometheus])
        if ('missing' in one && !('of' in one)) expect(one.missing).to.match(/\w{3}/);
  });
});

it('the alarms know the most tasks of each form of count', () => {
  const forms: [unknown, number][] = [
    [{}, 1],
    [{ count: 4 }, 4],
    [{ count: { range: '2-3' } }, 3],
    [{ count: { range: { min: 2, max: 3, spot_from: 1 } } }, 3],
    [{ count: { spot: 5 } }, 5],
  ];
  for (const [manifest, maximum] of forms) expect(maximumOf(manifest)).to.equal(maximum);
});
