import { expect } from 'chai';
import { main } from '../../../tools/cli/main.ts';

describe('plusone schema', () => {
  it('prints the JSON Schema of a manifest', async () => {
    const printed: string[] = [];
    const { log } = console;
    console.log = (text: string) => printed.push(text);
    try {
      expect(await main(['schema'])).to.equal(0);
    } finally {
      console.log = log;
    }
    expect(JSON.parse(printed.join('\n'))).to.include({ title: 'AWS Copilot manifest', type: 'object' });
  });
});
