import { expect } from 'chai';
import { Problem, problemBody } from '../../src/http/problems.ts';

describe('problemBody', () => {
  it('has the fields of RFC 9457', () => {
    expect(JSON.parse(problemBody(new Problem(404, 'Not found.'), '/hello/ann'))).to.deep.equal({
      type: 'about:blank',
      title: 'Not Found',
      status: 404,
      detail: 'Not found.',
      instance: '/hello/ann',
    });
  });

  it('lists the invalid fields', () => {
    const errors = [{ pointer: '#/dateOfBirth', detail: 'is missing' }];
    expect(JSON.parse(problemBody(new Problem(400, 'No.', { errors }), undefined)).errors).to.deep.equal(errors);
  });

  it('does not contain the cause', () => {
    expect(problemBody(new Problem(500, 'Oh.', { cause: new Error('secret') }), '/')).not.to.contain('secret');
  });
});
