import { expect } from 'chai';
import { splitWords } from '../../manifest/words.ts';

describe('splitWords', () => {
  for (const [line, words] of [
    ['', []],
    ['  a   b  ', ['a', 'b']],
    ['a "b c" d', ['a', 'b c', 'd']],
    ['a \'b "c"\'', ['a', 'b "c"']],
    ['--name="b c"d', ['--name=b cd']],
    ['a\\ b', ['a b']],
    ['"a \\" b"', ['a " b']],
    ["'a\\b'", ['a\\b']],
    ['""', ['']],
    ['a # the rest', ['a']],
    ['a#b', ['a#b']],
    ['a\nb', ['a', 'b']],
  ] as const) {
    it(`splits ${JSON.stringify(line)}`, () => {
      expect(splitWords(line)).to.deep.equal(words);
    });
  }

  it('has no words for a quote without an end', () => {
    expect(splitWords('a "b')).to.equal(undefined);
    expect(splitWords("a 'b")).to.equal(undefined);
  });

  it('has no words for an escape without an end', () => {
    expect(splitWords('a \\')).to.equal(undefined);
  });
});
