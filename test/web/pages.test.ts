import { expect } from 'chai';
import { z } from 'zod';
import { USERNAME_RULE, usernameSchema } from '../../src/users/schemas.ts';
import { homePage, pages } from '../../src/web/pages.ts';

const WEIGHT = 30 * 1024;

describe('the page with the result of a lookup', () => {
  it('has the name in its field and the greeting', () => {
    const html = homePage({ username: 'ann', greeting: 'Hello, ann! Happy birthday!' });
    expect(html).to.contain('value="ann"').and.to.contain('data-state="greeting"');
    expect(html).to.contain('>Hello, ann! Happy birthday!<');
  });

  it('shows why there is no greeting', () => {
    const html = homePage({ username: 'ann', failure: 'No birthday is known for ann.' });
    expect(html).to.contain('data-state="problem"').and.to.contain('>No birthday is known for ann.<');
  });

  it('shows the error of a name next to its field', () => {
    const html = homePage({ username: 'ann1', invalid: 'Letters only.' });
    expect(html).to.contain('aria-invalid="true"').and.to.contain('id="username-hint">Letters only.<');
  });

  it('has a field for the token only if changes require one', () => {
    const lookup = { username: 'ann', greeting: 'Hello, ann! Happy birthday!' };
    expect(homePage(lookup, { closed: true })).to.contain('<div id="closed">');
    expect(homePage(lookup)).to.contain('<div id="closed" hidden>');
  });

  it('escapes everything from the request', () => {
    const hostile = `"'><script>alert(1)</script>$&$\`{{x}}`;
    for (const lookup of [{ greeting: hostile }, { failure: hostile }, { invalid: hostile }]) {
      const html = homePage({ username: hostile, ...lookup });
      expect(html).not.to.contain('<script>');
      expect(html.split('&lt;script&gt;alert(1)&lt;/script&gt;$&amp;$`{{x}}')).to.have.length(3);
    }
  });
});

describe('the pages', () => {
  const all = pages('1.2.3');
  const html = all.filter(({ contentType }) => contentType.startsWith('text/html'));

  it('are two with HTML: the page and the documentation', () => {
    expect(html.map(({ path }) => path)).to.deep.equal(['/', '/docs']);
  });

  it('weigh at most 30 KiB with all that they load, uncompressed', () => {
    for (const page of html) {
      const loaded = [...page.body.toString().matchAll(/"(\/assets\/[^"]*)/g)].map(([, path]) => path);
      const files = all.filter(({ path }) => loaded.includes(path));
      const weight = [page, ...files].reduce((sum, { body }) => sum + body.length, 0);
      expect(weight, page.path).to.be.below(WEIGHT).and.above(page.body.length);
    }
  });

  it('ask for a username by the rule of the service', () => {
    const page = html[0]?.body.toString() ?? '';
    const pattern = / pattern="([^"]+)"/.exec(page)?.[1];
    expect(`^${pattern}$`).to.equal(z.toJSONSchema(usernameSchema).pattern);
    expect(page).to.contain(`title="${USERNAME_RULE}"`).and.to.contain(`id="username-hint">${USERNAME_RULE}.`);
    expect(page).not.to.contain('{{');
  });

  it('have another ETag if their content differs', () => {
    const tag = (version: string) => pages(version).find(({ path }) => path === '/openapi.json')?.etag;
    expect(tag('1.2.3')).to.equal(tag('1.2.3')).and.not.to.equal(tag('1.2.4'));
  });

  it('load nothing that is not among them', () => {
    const paths = all.map(({ path }) => path);
    for (const { body, contentType } of html) {
      const needed = [...body.toString().matchAll(/(?:src|href)="(\/[^"#]*)/g)].map(([, path]) => path);
      expect(paths, contentType).to.include.members(needed);
    }
  });

  it('have no inline script or style, which their policy forbids', () => {
    for (const { body } of html) {
      expect(body.toString()).not.to.match(/<style|<script(?![^>]* src=)| style=| on\w+=/);
    }
  });
});
