import { expect } from 'chai';
import {
  isInterruption,
  isStatementError,
  needsNoPreparation,
  UNAVAILABLE_ERRORS,
  unavailableReason,
} from '../../src/database/errors.ts';

const refused = (errno: number, more: object = {}) => Object.assign(new Error('refused'), { errno, ...more });

describe('an error of MySQL', () => {
  for (const [group, errors] of Object.entries(UNAVAILABLE_ERRORS)) {
    it(`does not blame the statement: ${group}`, () => {
      const statementErrors = Object.entries(errors).filter(([, errno]) => isStatementError(refused(errno)));
      expect(statementErrors).to.deep.equal([]);
    });
  }

  for (const [what, errno] of [
    ['a syntax error', 1064],
    ['a deadlock, which is tried again', 1213],
    ["a trigger's refusal", 1644],
    ['a check constraint', 3819],
  ] as const) {
    it(`blames the statement: ${what}`, () => {
      expect(isStatementError(refused(errno))).to.equal(true);
    });
  }

  for (const [what, errno] of [
    ['the storage engine', 168],
    ['a client library, as MaxScale sends', 2003],
    ['ProxySQL', 9001],
    ['RDS Proxy', 9501],
  ] as const) {
    it(`does not blame the statement for a number of ${what}`, () => {
      expect(isStatementError(refused(errno))).to.equal(false);
    });
  }

  it('blames the statement for the ranges of the server itself, including their ends', () => {
    const numbers = [999, 1000, 1999, 2000, 2999, 3000, 8999, 9000];
    expect(numbers.filter((errno) => isStatementError(refused(errno)))).to.deep.equal([1000, 1999, 3000, 8999]);
  });

  for (const error of [new Error('no number'), refused(1064, { errno: '1064' }), { errno: 1064 }, undefined]) {
    it(`does not blame the statement for a value without a number: ${JSON.stringify(error)}`, () => {
      expect(isStatementError(error)).to.equal(false);
    });
  }

  it('does not blame the statement if it ends the connection', () => {
    expect(isStatementError(refused(1064, { fatal: true }))).to.equal(false);
  });

  it('leads to a statement without preparation if no more can be prepared', () => {
    expect([1461, 1615, 1243, 1064].map((errno) => needsNoPreparation(refused(errno)))).to.deep.equal([
      true,
      true,
      true,
      false,
    ]);
  });
});

describe('an interruption', () => {
  it('is a lost connection, a shutdown, a change of the primary, a node without a majority and a server that is read-only', () => {
    const lost = Object.assign(new Error('Connection lost'), { code: 'PROTOCOL_CONNECTION_LOST', fatal: true });
    expect(
      [lost, ...[1053, 3781, 1047, 1290, 1836].map((errno) => refused(errno))].filter(isInterruption),
    ).to.have.length(6);
  });

  it('is no mistake in a statement, no missing table or right, and no failure of something else', () => {
    const missing = Object.assign(new Error('ENOENT'), { code: 'ENOENT', errno: -2 });
    const others = [...[1064, 1146, 1142].map((errno) => refused(errno)), missing, new TypeError('x'), undefined];
    expect(others.filter(isInterruption)).to.deep.equal([]);
  });
});

describe('the reason for a missing answer', () => {
  it('is "database unavailable" for a failure of another kind', () => {
    expect(unavailableReason(refused(1053))).to.equal('database unavailable: refused');
  });

  for (const [code, message, advice] of [
    ['ENOTFOUND', 'getaddrinfo ENOTFOUND db.invalid', 'DATABASE_HOST must be a name that resolves, or an address'],
    ['EAI_AGAIN', 'getaddrinfo EAI_AGAIN db.internal', 'no DNS server answers for DATABASE_HOST'],
    ['ECONNREFUSED', 'connect ECONNREFUSED 127.0.0.1:3306', 'nothing listens at DATABASE_HOST and DATABASE_PORT'],
    ['EHOSTUNREACH', 'connect EHOSTUNREACH 10.0.0.1:3306', 'there is no route to DATABASE_HOST'],
    [
      'ETIMEDOUT',
      'connect ETIMEDOUT',
      'DATABASE_HOST does not answer; if it never did, check its address and the firewall or security group',
    ],
  ] as const) {
    it(`names the variable of a connection that fails: ${message}`, () => {
      const error = Object.assign(new Error(message), { code });
      expect(unavailableReason(error)).to.equal(`database unavailable: ${message}; ${advice}`);
    });
  }

  for (const [errno, message] of [
    [1290, 'The MySQL server is running with the --super-read-only option so it cannot execute this statement'],
    [1290, 'The MariaDB server is running with the --read-only option so it cannot execute this statement'],
    [1836, 'Running in read-only mode'],
  ] as const) {
    it(`names a server that is read-only, as behind a reader endpoint: ${errno} ${message}`, () => {
      expect(unavailableReason(refused(errno, { message }))).to.equal(
        `database unavailable: the server is read-only; DATABASE_HOST may be a reader endpoint (${message})`,
      );
    });
  }

  it('has no advice about the endpoint for another option of the server', () => {
    const message =
      'The MySQL server is running with the --skip-grant-tables option so it cannot execute this statement';
    expect(unavailableReason(refused(1290, { message }))).to.equal(`database unavailable: ${message}`);
  });

  it('has no advice for a TLS failure of another kind', () => {
    const error = Object.assign(new Error('wrong version number'), { code: 'HANDSHAKE_SSL_ERROR' });
    expect(unavailableReason(error)).to.equal('TLS connection to the database failed: wrong version number');
  });

  it('names the missing TLS if the server takes no other connections', () => {
    const message = 'Connections using insecure transport are prohibited while --require_secure_transport=ON.';
    const error = Object.assign(new Error(message), { code: 'ER_SECURE_TRANSPORT_REQUIRED', errno: 3159 });
    expect(unavailableReason(error)).to.match(/^TLS connection to the database failed: .*; set DATABASE_TLS to rds/);
  });

  for (const [message, advice] of [
    ['unable to get local issuer certificate', /DATABASE_TLS to the path .*global-bundle\.pem/],
    ['self-signed certificate in certificate chain', /DATABASE_TLS to the path .*global-bundle\.pem/],
    ['certificate has expired', /renew the certificate/],
    ["Hostname/IP does not match certificate's altnames: Host: a. is not in b", /DATABASE_HOST/],
    ['Server does not support secure connection', /enable TLS/],
  ] as const) {
    it(`names the TLS failure "${message}" and what to do`, () => {
      const error = Object.assign(new Error(message), { code: 'HANDSHAKE_SSL_ERROR' });
      expect(unavailableReason(error)).to.contain(`TLS connection to the database failed: ${message}; `);
      expect(unavailableReason(error)).to.match(advice);
    });
  }
});
