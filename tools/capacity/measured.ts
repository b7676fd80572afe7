import type { Measured } from './plan.ts';

/** `npm run capacity:measure -- --users 1e7` on a busy machine, as docs/capacity.md says. */
export const MEASURED: Measured = {
  service: { read: 72, write: 104 },
  database: { read: 34, write: 58 },
  bytesPerUser: 57,
  bytesPerResponse: 650,
  bytesPerLine: 193,
};
