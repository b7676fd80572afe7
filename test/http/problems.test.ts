import { expect } from 'chai';
import { Problem, problemBody } from '../../src/http/problems.ts';

describe('problemBody', () => {
  it('says what RFC 9457 asks for', () => {
    expect(JSON.parse(problemBody(new Problem(404, 'Nobody is here.'), '/hello/ann'))).to.deep.equal({
      type: 'about:blank',
      title: 'Not Found',
      status: 404,
      detail: 'Nobody is here.',
      instance: '/hello/ann',
    });
  });

  it('lists the fields that were refused', () => {
    const errors = [{ pointer: '#/dateOfBirth', detail: 'is missing' }];
    expect(JSON.parse(problemBody(new Problem(400, 'No.', { errors }), undefined)).errors).to.deep.equal(errors);
  });

  it('shows nothing of a cause', () => {
    expect(problemBody(new Problem(500, 'Oh.', { cause: new Error('secret') }), '/')).not.to.contain('secret');
  });
});
