// Adds saving, deleting and results without a reload. A lookup works without it: the form leads to /?username=.
const byId = (id) => document.getElementById(id);
const lookup = byId('lookup');
const save = byId('save');
const username = byId('username');
const dateOfBirth = byId('date-of-birth');
const token = byId('token');
const answer = byId('answer');
const remove = byId('delete');
const hints = new Map([username, dateOfBirth, token].map((field) => [field, byId(`${field.id}-hint`)]));
// The hint of a page that was served with its result may be an error.
const usernameHint = `${username.title}. Capitals count: ann is not Ann.`;
const neutral = new Map([
  [username, usernameHint],
  [dateOfBirth, hints.get(dateOfBirth).textContent],
  [token, hints.get(token).textContent],
]);

function mark(field, error) {
  field.setAttribute('aria-invalid', String(error !== undefined));
  hints.get(field).textContent = error ?? neutral.get(field);
}

/** Checks only that fields are filled in; the server checks names and dates. */
function complete(...fields) {
  const missing = {
    username: username.value === '' ? 'Type a name first.' : undefined,
    'date-of-birth': dateOfBirth.value === '' ? 'Choose a whole date: day, month and year.' : undefined,
  };
  for (const field of fields) mark(field, missing[field.id]);
  const first = fields.find((field) => missing[field.id]);
  first?.focus();
  return first === undefined;
}

function show(state, text, name) {
  answer.parentElement.dataset.state = state;
  answer.textContent = text;
  remove.hidden = name === undefined;
  if (name !== undefined) {
    remove.dataset.username = name;
    remove.setAttribute('aria-label', `Delete the birthday of ${name}`);
  }
  // The URL shows the same result when it is reloaded or shared.
  history.replaceState(null, '', name === undefined ? '/' : `/?username=${name}`);
}

/** The answer of the API as `{ status, body }`; status 0 when there was none. */
async function call(method, name, body) {
  try {
    const response = await fetch(`/hello/${encodeURIComponent(name)}`, {
      method,
      headers: {
        accept: 'application/json',
        ...(body && { 'content-type': 'application/json' }),
        ...(method !== 'GET' && token.value !== '' && { authorization: `Bearer ${token.value}` }),
      },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    const json = response.headers.get('content-type')?.includes('json');
    return { status: response.status, body: json ? await response.json() : {} };
  } catch {
    return { status: 0, body: {} };
  }
}

function refuse(field, error) {
  mark(field, error);
  field.focus();
}

/** Shows the error, next to the invalid field if there is one. */
function explain({ status, body }) {
  if (status === 0) return show('problem', 'The service cannot be reached. Try again in a moment.');
  if (status === 401) return refuse(token, 'The token is missing, or it is another one.');
  const wrongDate = body.errors?.find(({ pointer }) => pointer === '#/dateOfBirth');
  if (wrongDate) return refuse(dateOfBirth, `Date of birth ${wrongDate.detail}.`);
  if (status === 400) return refuse(username, body.detail);
  show('problem', body.detail ?? 'That did not work. Try again in a moment.');
}

async function daysLeft(name) {
  const found = await call('GET', name);
  if (found.status === 200) show('greeting', found.body.message, name);
  else if (found.status === 404) show('problem', `No birthday is saved for ${name} yet. Save one below.`);
  else explain(found);
}

let busy = false;
/** One request at a time: a second click does nothing. */
async function once(work) {
  if (busy) return;
  busy = true;
  answer.parentElement.setAttribute('aria-busy', 'true');
  try {
    await work();
  } finally {
    busy = false;
    answer.parentElement.removeAttribute('aria-busy');
  }
}

lookup.addEventListener('submit', (event) => {
  event.preventDefault();
  mark(dateOfBirth);
  if (complete(username)) once(() => daysLeft(username.value));
});

save.addEventListener('submit', (event) => {
  event.preventDefault();
  mark(token);
  if (!complete(username, dateOfBirth)) return;
  once(async () => {
    const name = username.value;
    const saved = await call('PUT', name, { dateOfBirth: dateOfBirth.value });
    if (saved.status === 204) await daysLeft(name);
    else explain(saved);
  });
});

remove.addEventListener('click', () => {
  const name = remove.dataset.username;
  if (!confirm(`Delete the birthday of ${name}?`)) return;
  mark(token);
  once(async () => {
    const deleted = await call('DELETE', name);
    if (deleted.status !== 204 && deleted.status !== 404) return explain(deleted);
    show('empty', `The birthday of ${name} is deleted.`);
    username.focus();
  });
});

lookup.noValidate = true;
save.noValidate = true;
// A page that was served with its result (/?username=ann) gets its delete button.
if (answer.parentElement.dataset.state === 'greeting') show('greeting', answer.textContent, username.value);
