import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { expect } from 'chai';
import { preferredType, requireAcceptable } from '../../src/http/negotiation.ts';

/** A request of Node's, without restify. */
function asking(accept?: string): IncomingMessage {
  const request = new IncomingMessage(new Socket());
  if (accept !== undefined) request.headers.accept = accept;
  return request;
}

const types = ['application/json', 'text/html'];

describe('the preferred type', () => {
  for (const [accept, type] of [
    [undefined, 'application/json'],
    ['*/*', 'application/json'],
    ['text/html, application/json;q=0.9', 'text/html'],
    ['text/*', 'text/html'],
    ['text/html;q=0, */*', 'application/json'],
    ['image/png', undefined],
  ] as const) {
    it(`is ${type} for Accept: ${accept}`, () => {
      expect(preferredType(asking(accept), types)).to.equal(type);
    });
  }

  it('is refused with 406 when the Accept header allows none', () => {
    expect(() => requireAcceptable(asking('image/png'), 'application/json'))
      .to.throw('Accept')
      .with.property('status', 406);
  });
});
