import { expect } from 'chai';
import { createMetrics } from '../../src/operations/metrics.ts';
import { idle } from '../idle.ts';

describe('the metrics', () => {
  it('have the statistics at the time of the scrape', async () => {
    let now = idle;
    const { registry } = createMetrics({ version: '1', revision: 'abc' }, () => now);
    now = { ...idle, used: 2, statements: 40, statementSeconds: 0.5 };
    await registry.metrics();
    now = { ...idle, used: 1, statements: 50, statementSeconds: 0.75 };
    expect((await registry.metrics()).split('\n')).to.include.members([
      'plusone_database_connections_used 1',
      'plusone_database_statements_total 50',
      'plusone_database_statement_seconds_total 0.75',
    ]);
  });

  it('have each statistic by its own name', async () => {
    const now = {
      ...{ used: 1, free: 2, waitingForConnection: 3, reads: 4, writes: 5, executing: 6 },
      ...{ statements: 7, statementSeconds: 8, statementBuckets: [1, 0, 2], failures: 9 },
    };
    const { registry } = createMetrics({ version: '1', revision: 'abc' }, () => now);
    expect((await registry.metrics()).split('\n')).to.include.members([
      'plusone_database_connections_used 1',
      'plusone_database_connections_free 2',
      'plusone_database_connection_waits 3',
      'plusone_reads_waiting 4',
      'plusone_writes_waiting 5',
      'plusone_database_statements_total 7',
      'plusone_database_statement_seconds_total 8',
      'plusone_database_failures_total 9',
      'plusone_requests_executing 6',
      'plusone_database_statement_duration_seconds_bucket{le="0.001"} 1',
      'plusone_database_statement_duration_seconds_bucket{le="0.005"} 1',
      'plusone_database_statement_duration_seconds_bucket{le="0.01"} 3',
      'plusone_database_statement_duration_seconds_bucket{le="+Inf"} 3',
    ]);
  });

  it('count requests by method, route and status', async () => {
    const { registry, observe } = createMetrics({ version: '1', revision: 'abc' }, () => idle);
    observe('GET', '/hello/:username', 200, 0.004);
    observe('GET', '/hello/:username', 200, 0.7);
    expect((await registry.metrics()).split('\n')).to.include.members([
      'http_request_duration_seconds_bucket{le="0.5",method="GET",route="/hello/:username",status="200"} 1',
      'http_request_duration_seconds_count{method="GET",route="/hello/:username",status="200"} 2',
    ]);
  });

  it('count each of many requests', async () => {
    const { registry, observe } = createMetrics({ version: '1', revision: 'abc' }, () => idle);
    for (let request = 0; request < 1000; request += 1) observe('GET', '/hello/:username', 200, 0.25);
    expect((await registry.metrics()).split('\n')).to.include.members([
      'http_request_duration_seconds_sum{method="GET",route="/hello/:username",status="200"} 250',
      'http_request_duration_seconds_count{method="GET",route="/hello/:username",status="200"} 1000',
    ]);
  });

  it('have no label for an unknown method', async () => {
    const { registry, observe } = createMetrics({ version: '1', revision: 'abc' }, () => idle);
    observe('BREW', 'none', 405, 0.001);
    const text = await registry.metrics();
    expect(text).to.contain('method="other"').and.not.contain('BREW');
  });

  it('have the version and the revision', async () => {
    const { registry } = createMetrics({ version: '1.2.3', revision: 'abc' }, () => idle);
    expect(await registry.metrics()).to.contain(
      `plusone_build_info{version="1.2.3",revision="abc",node="${process.version}"} 1`,
    );
  });
});
