import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { LINES, readSearch } from '../dashboard/searches.ts';
import { Failed, output } from '../terminal/programs.ts';
import { remark, say } from '../terminal/progress.ts';
import { Refusal } from '../terminal/refusal.ts';
import { environmentStack } from './cloud.ts';
import { command } from './command.ts';

const found = z.union([
  z.object({ total: z.number(), lines: z.array(z.record(z.string(), z.unknown())) }),
  z.object({ errorMessage: z.string() }),
]);

// Searches the logs of the environment in its OpenSearch domain: QUERY='level:error AND status:500' SINCE=1h make search,
// or SEARCH=failed make search for one of the saved searches of tools/dashboard/panels.ts.
// The domain is in the VPC, so the log shipper runs the query.
await command('search', ['aws'], async (target) => {
  const { query, minutes } = readSearch(process.env);
  const name = `${environmentStack(target)}-log-shipper`;
  const folder = mkdtempSync(join(tmpdir(), 'plusone-'));
  const file = join(folder, 'found.json');
  try {
    const payload = join(folder, 'search.json');
    writeFileSync(payload, JSON.stringify({ search: { query, minutes, size: LINES } }));
    // Versions 1 and 2 of the AWS CLI treat `fileb://` the same.
    const words = ['--function-name', name, '--payload', `fileb://${payload}`, file];
    await output('aws', ['lambda', 'invoke', ...words]).catch((error: unknown) => {
      if (error instanceof Failed && error.stderr.includes('ResourceNotFoundException')) {
        throw new Refusal(
          `${environmentStack(target)} has no search: set LogsTo: opensearch in addons.parameters.yml, then make infra-create`,
        );
      }
      throw error;
    });
    const answer = found.parse(JSON.parse(readFileSync(file, 'utf8')));
    if ('errorMessage' in answer) throw new Refusal(answer.errorMessage);
    // As in a log, the newest line comes last.
    for (const line of answer.lines.toReversed()) say(JSON.stringify(line));
    remark(`${answer.lines.length} of ${answer.total} lines of the last ${minutes} minutes`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
