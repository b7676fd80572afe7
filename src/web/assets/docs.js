// Sends a "Try it" form to this service and shows the response.
function element(name, text = '') {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

async function send(form) {
  let path = form.dataset.path;
  const query = new URLSearchParams();
  const headers = {};
  for (const { name, value, dataset } of form.querySelectorAll('input')) {
    if (dataset.in === 'token') {
      if (value !== '') headers.authorization = `Bearer ${value}`;
    } else if (dataset.in === 'path') path = path.replace(`{${name}}`, encodeURIComponent(value));
    else if (value !== '' && dataset.in === 'query') query.set(name, value);
    else if (value !== '') headers[name] = value;
  }
  const area = form.querySelector('textarea');
  if (area) headers['content-type'] = area.dataset.type;
  const url = query.size > 0 ? `${path}?${query}` : path;
  const response = await fetch(url, {
    method: form.dataset.method,
    headers,
    body: area?.value,
    cache: 'no-store',
    signal: AbortSignal.timeout(10_000),
  });
  const body = await response.text();
  const json = response.headers.get('content-type')?.includes('json');
  return {
    status: `${form.dataset.method} ${url}: ${response.status} ${response.statusText}`,
    headers: [...response.headers].map(([name, value]) => `${name}: ${value}`).join('\n'),
    body: json ? JSON.stringify(JSON.parse(body), null, 2) : body,
  };
}

for (const form of document.querySelectorAll('form[data-path]')) {
  const outcome = form.nextElementSibling;
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    outcome.replaceChildren(element('p', 'Asking …'));
    try {
      const { status, headers, body } = await send(form);
      const details = element('details');
      details.append(element('summary', 'Headers'), element('pre', headers));
      outcome.replaceChildren(element('p', status), ...(body ? [element('pre', body)] : []), details);
    } catch {
      outcome.replaceChildren(element('p', 'The service cannot be reached. Try again in a moment.'));
    }
  });
}
