import { expect } from 'chai';
import { widgetSchema } from '../../src/widgets/schema.ts';
import { sampleOf } from '../sample.ts';
import { ask, newIds } from './service.ts';

const PATH = '/widgets';
const sample = sampleOf(widgetSchema);
const ids = newIds(5);
const [first = '', second = ''] = ids;

describe('widgets over HTTP', () => {
  after(async () => {
    for (const id of ids) await ask('DELETE', `${PATH}/${id}`);
  });

  it('reads what was saved', async () => {
    expect((await ask('PUT', `${PATH}/${first}`, sample)).status).to.equal(204);
    expect(await ask('GET', `${PATH}/${first}`)).to.deep.include({ status: 200, body: { id: first, ...sample } });
  });

  it('replaces what is saved again', async () => {
    expect((await ask('PUT', `${PATH}/${first}`, sample)).status).to.equal(204);
    expect((await ask('GET', `${PATH}/${first}`)).status).to.equal(200);
  });

  it('answers 404 for an id that it does not have', async () => {
    expect((await ask('GET', `${PATH}/${second}`)).status).to.equal(404);
    expect((await ask('DELETE', `${PATH}/${second}`)).status).to.equal(404);
  });

  it('deletes', async () => {
    await ask('PUT', `${PATH}/${second}`, sample);
    expect((await ask('DELETE', `${PATH}/${second}`)).status).to.equal(204);
    expect((await ask('GET', `${PATH}/${second}`)).status).to.equal(404);
  });

  it('lists in the order of ids, page by page', async () => {
    for (const id of ids) await ask('PUT', `${PATH}/${id}`, sample);
    const found: unknown[] = [];
    // The id before the first of this run: others may be there.
    let path: unknown = `${PATH}?after=${first.slice(0, -1)}&limit=2`;
    while (typeof path === 'string' && found.length < ids.length) {
      const { status, body } = await ask('GET', path);
      expect(status).to.equal(200);
      if (!Array.isArray(body?.items)) throw new Error('a page has items');
      found.push(...body.items);
      path = body.next;
    }
    expect(found.slice(0, ids.length)).to.deep.equal(ids.map((id) => ({ id, ...sample })));
  });

  it('keeps the last of many changes at once', async () => {
    const writes = await Promise.all(Array.from({ length: 50 }, () => ask('PUT', `${PATH}/${first}`, sample)));
    expect(new Set(writes.map(({ status }) => status))).to.deep.equal(new Set([204]));
    expect((await ask('GET', `${PATH}/${first}`)).body).to.deep.equal({ id: first, ...sample });
  });

  it('names each field that is wrong', async () => {
    const { status, body } = await ask('PUT', `${PATH}/${first}`, { ...sample, unknownField: 1 });
    expect([status, body?.errors]).to.deep.equal([
      400,
      [{ pointer: '#/unknownField', detail: 'is not a field that is known here' }],
    ]);
  });

  it('refuses an id with other characters, a list that is too long, and a body that is not JSON', async () => {
    expect((await ask('GET', `${PATH}/a%20b`)).status).to.equal(400);
    expect((await ask('GET', `${PATH}?limit=1000`)).status).to.equal(400);
    expect((await ask('PUT', `${PATH}/${first}`, sample, { 'content-type': 'text/plain' })).status).to.equal(415);
  });

  it('names the methods that it has', async () => {
    const { status, headers } = await ask('POST', `${PATH}/${first}`);
    expect([status, headers.get('allow')?.split(/,\s*/).toSorted()]).to.deep.equal([
      405,
      ['DELETE', 'GET', 'HEAD', 'PUT'],
    ]);
  });
});
