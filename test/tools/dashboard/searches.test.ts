import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { z } from 'zod';
import { PROPERTIES } from '../../../functions/search-index.ts';
import { savedObjects } from '../../../tools/dashboard/opensearch.ts';
import { readSearch, SEARCHES } from '../../../tools/dashboard/searches.ts';

const FILE = 'tools/dashboard/opensearch/plusone.ndjson';
const savedObject = z.object({
  id: z.string(),
  type: z.enum(['index-pattern', 'search', 'dashboard']),
  references: z.array(z.object({ id: z.string(), type: z.string() })),
});

describe('the saved searches', () => {
  it('are those of the panels in the file for OpenSearch Dashboards: npm run dashboard:build', () => {
    expect(readFileSync(FILE, 'utf8')).to.equal(savedObjects());
  });

  it('are all on the dashboard, and each object refers to objects of the file', () => {
    const objects = savedObjects()
      .trim()
      .split('\n')
      .map((line) => savedObject.parse(JSON.parse(line)));
    const known = objects.map(({ type, id }) => `${type} ${id}`);
    expect(known).to.have.lengthOf(new Set(known).size);
    for (const { references } of objects)
      for (const { type, id } of references) expect(known).to.include(`${type} ${id}`);
    const dashboard = objects.find(({ type }) => type === 'dashboard');
    expect(dashboard?.references.map(({ id }) => id)).to.deep.equal(
      [...SEARCHES.keys()].map((name) => `plusone-${name}`),
    );
  });

  it('show and search fields that the index has', () => {
    const fields = Object.entries(PROPERTIES).flatMap(([name, property]) =>
      'properties' in property ? Object.keys(property.properties).map((inner) => `${name}.${inner}`) : [name],
    );
    for (const { query, columns } of SEARCHES.values()) {
      const [, searched] = /^(?:_exists_:)?([\w.]+)/.exec(query) ?? [];
      expect(fields).to.include.members([searched, ...columns]);
    }
  });
});

describe('what a search is for', () => {
  it('is everything of the last hour unless it is said', () => {
    expect(readSearch({})).to.deep.equal({ query: '*', minutes: 60 });
  });

  it('is a query, or the name of a saved search', () => {
    expect(readSearch({ QUERY: 'level:error', SINCE: '2d' })).to.deep.equal({ query: 'level:error', minutes: 2_880 });
    expect(readSearch({ SEARCH: 'failed', SINCE: '5m' })).to.deep.equal({ query: 'status:>=500', minutes: 5 });
  });

  it('is refused with the names that there are, or what a time looks like', () => {
    expect(() => readSearch({ SEARCH: 'eror' })).to.throw('SEARCH is eror; it must be one of\n  requests ');
    expect(() => readSearch({ SEARCH: 'errors', QUERY: 'a' })).to.throw('both set');
    for (const SINCE of ['1 hour', '0m', '366d', '9999d']) {
      expect(() => readSearch({ SINCE })).to.throw(`SINCE is ${SINCE}; it must be a time such as 30m, 1h or 7d`);
    }
    expect(() => readSearch({ QUERY: 'a'.repeat(1_001) })).to.throw('QUERY has 1001 characters');
  });
});
