// A form and a list for each resource: /#widgets is the page of /widgets. Resources and fields come from the API description.
const byId = (id) => document.getElementById(id);
const form = byId('save');
const outcome = byId('outcome');
const TYPES = { integer: 'number', number: 'number', boolean: 'checkbox', date: 'date', email: 'email' };

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

async function call(method, url, body) {
  try {
    const response = await fetch(url, {
      method,
      headers: { accept: 'application/json', ...(body && { 'content-type': 'application/json' }) },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    const json = response.headers.get('content-type')?.includes('json');
    return { status: response.status, body: json ? await response.json() : {} };
  } catch {
    return { status: 0, body: { detail: 'The service cannot be reached. Try again in a moment.' } };
  }
}

const { body: api } = await call('GET', '/openapi.json');
const paths = Object.keys(api.paths)
  .filter((one) => one.endsWith('/{id}'))
  .map((one) => one.replace('/{id}', ''));
const path = paths.find((one) => `#${one.slice(1)}` === location.hash) ?? paths[0];
const read = api.paths[`${path}/{id}`].get;
const name = read.responses['200'].content['application/json'].schema.$ref.split('/').at(-1);
const { properties, required } = api.components.schemas[name];

const nameOf = (one) => api.paths[one].get.tags[0];
byId('heading').textContent = nameOf(path);
document.title = `${nameOf(path)} · ${api.info.title}`;
const link = (one) => element('a', { href: `#${one.slice(1)}`, textContent: nameOf(one) });
byId('resources').append(...paths.map(link));
byId('resources').children[paths.indexOf(path)].setAttribute('aria-current', 'page');
byId('resources').hidden = paths.length === 1;
addEventListener('hashchange', () => location.reload());

for (const [field, { type, format, description, examples }] of Object.entries(properties)) {
  const input = element('input', {
    id: `field-${field}`,
    name: field,
    type: TYPES[format] ?? TYPES[type] ?? 'text',
    required: required.includes(field) && type !== 'boolean',
    title: description ?? '',
    placeholder: String(examples?.[0] ?? ''),
  });
  if (type === 'number') input.step = 'any';
  if (type === 'boolean') input.style.flex = 'none';
  const label = element('label', { htmlFor: input.id, textContent: field });
  byId('fields').append(element('p', {}, label, element('span', { className: 'row' }, input)));
}

/** What a field holds; undefined when it is empty. */
function valueIn({ type, value, checked }) {
  if (type === 'checkbox') return checked;
  if (value === '') return undefined;
  return type === 'number' ? Number(value) : value;
}

function entry({ id, ...fields }) {
  const rows = Object.entries(fields).flatMap(([field, value]) => [
    element('dt', { textContent: field }),
    element('dd', { textContent: String(value) }),
  ]);
  const remove = element('button', { type: 'button', className: 'quiet', textContent: 'Delete' });
  const card = element(
    'section',
    { className: 'card' },
    element('h2', { textContent: id }),
    element('dl', {}, ...rows),
    remove,
  );
  remove.setAttribute('aria-label', `Delete ${id}`);
  remove.addEventListener('click', async () => {
    if (!confirm(`Delete ${id}?`)) return;
    const { status, body } = await call('DELETE', `${path}/${encodeURIComponent(id)}`);
    if (status === 204 || status === 404) card.remove();
    else outcome.textContent = body.detail;
  });
  return card;
}

async function show(url, ...before) {
  const { status, body } = await call('GET', url);
  if (status !== 200) {
    outcome.textContent = body.detail;
    return;
  }
  byId('list').replaceChildren(...before, ...body.items.map(entry));
  byId('more').hidden = body.next === undefined;
  byId('more').onclick = () => show(body.next, ...byId('list').children);
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const { id, ...fields } = Object.fromEntries(
    [...form.elements].filter((one) => one.name).map((one) => [one.name, valueIn(one)]),
  );
  const { status, body } = await call('PUT', `${path}/${encodeURIComponent(id)}`, fields);
  outcome.textContent = status === 204 ? `${id} is saved.` : body.detail;
  if (status === 204) await show(path);
});

await show(path);
