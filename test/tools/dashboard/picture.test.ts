import { expect } from 'chai';
import { PANELS, type Unit } from '../../../tools/dashboard/panels.ts';
import { type DrawnPanel, picture } from '../../../tools/dashboard/picture.ts';

describe('the picture of the dashboard', () => {
  it('has every panel of Grafana, including those without data', () => {
    const panels = PANELS.flatMap(({ section, title, prometheus }) =>
      'missing' in prometheus ? [] : [{ section, title, graph: prometheus, lines: [] }],
    );
    const drawn = picture(panels, 0, 60);
    for (const { title } of panels) expect(drawn).to.contain(`>${title}</text>`);
    expect(drawn.match(/not measured in this run/g)).to.have.lengthOf(panels.length);
  });

  it('draws the 500 ms line above lower latencies', () => {
    const latency = PANELS.find(({ title }) => title === 'Latency')?.prometheus;
    if (latency === undefined || 'missing' in latency) throw new Error('there is no panel Latency');
    const drawn = picture(
      [{ section: 'What callers see', title: 'Latency', graph: latency, lines: [line('p99', [0.005, 0.005])] }],
      0,
      60,
    );
    const limit = Number(/class="limit"[^>]* d="M\S+ ([\d.]+)/.exec(drawn)?.[1]);
    const p99 = Number(/class="line c0"[^>]* d="M\S+ ([\d.]+)/.exec(drawn)?.[1]);
    expect(drawn).to.contain('>500 ms</text>');
    expect(limit).to.be.below(p99);
  });

  it('has a gap where there is no data', () => {
    const points = [0, 5, 10, 40, 45].map((at) => ({ at, value: 1 }));
    const drawn = picture([panel('count', [{ name: 'up', points }])], 0, 60);
    expect(drawn.match(/class="line c0"[^>]* d="([^"]+)"/)?.[1]?.match(/M/g)).to.have.lengthOf(2);
  });

  it('skips values that are not numbers, such as 0 / 0', () => {
    expect(picture([panel('share', [line('errors', [Number.NaN, 0, Number.NaN])])], 0, 60)).to.not.contain('NaN');
  });

  it('escapes names', () => {
    expect(picture([panel('count', [line('<a> & b', [1])])], 0, 60)).to.contain('&lt;a> &amp; b');
  });

  for (const [unit, value, tick] of [
    ['seconds', 0.04, '40 ms'],
    ['bytes', 2 ** 28, '256 MiB'],
    ['share', 0.5, '40 %'],
    ['perSecond', 1200, '1,000/s'],
  ] satisfies [Unit, number, string][]) {
    it(`formats ${unit} on the axis as ${tick}`, () => {
      expect(picture([panel(unit, [line('one', [value, value])])], 0, 60)).to.contain(`>${tick}</text>`);
    });
  }

  it('counts the lines that do not fit in the legend', () => {
    const lines = Array.from({ length: 9 }, (_, at) => line(`line ${at}`, [at]));
    expect(picture([panel('count', lines)], 0, 60)).to.contain('and 4 more');
  });
});

function panel(unit: Unit, lines: DrawnPanel['lines']): DrawnPanel {
  return { section: 'The service', title: 'Panel', graph: { unit, queries: [] }, lines };
}

function line(name: string, values: number[]) {
  return { name, points: values.map((value, at) => ({ at: at * 5, value })) };
}
