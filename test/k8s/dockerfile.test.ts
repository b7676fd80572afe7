import { expect } from 'chai';
import { dockerfileUser } from '../../k8s/dockerfile.ts';

const lines = (...all: string[]) => all.join('\n');

describe('the user of a Dockerfile', () => {
  for (const [what, text, user] of [
    ['is its last USER, without the group', lines('FROM a', 'USER 0', 'user 1000:1000'), '1000'],
    ['may be a name', lines('FROM node:24', 'USER node'), 'node'],
    ['is unknown without a USER', lines('FROM python:3', '# USER 1', 'CMD ["USER", "1"]'), undefined],
    ['is that of the last stage', lines('FROM a AS build', 'USER 1', 'FROM b'), undefined],
    ['is that of the stage below', lines('FROM a AS base', 'USER 7', 'FROM --platform=linux/arm64 Base'), '7'],
    ['has the default of a build argument', lines('ARG ID=1001', 'FROM a', `USER \${ID}`), '1001'],
    ['has the fallback of a variable that is not set', lines('FROM a', `USER \${ID:-1002}`), '1002'],
    ['is on a line that goes on', lines('FROM a', 'USER \\', '  1003'), '1003'],
    ['is not in a here-document', lines('FROM a', 'RUN <<EOF', 'USER 5', 'EOF'), undefined],
  ] as const) {
    it(what, () => expect(dockerfileUser(text)).to.equal(user));
  }

  it('is that of the target stage', () => {
    expect(dockerfileUser(lines('FROM a AS app', 'USER 1', 'FROM b', 'USER 2'), 'app')).to.equal('1');
  });

  it('has the build argument that the manifest gives', () => {
    expect(dockerfileUser(lines('FROM a', 'ARG ID=1', 'USER $ID'), undefined, { ID: '2' })).to.equal('2');
  });
});
