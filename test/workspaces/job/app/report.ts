import { existsSync, writeFileSync } from 'node:fs';

const attempted = '/reports/attempted';
if (!existsSync(attempted)) {
  writeFileSync(attempted, '');
  throw new Error('the first attempt fails');
}
writeFileSync('/reports/today', 'all books are in order');
