import type { Measured } from './plan.ts';

/** `npm run capacity:measure -- --users 1e7` on a quiet machine, as docs/capacity.md says. */
export const MEASURED: Measured = {
  service: { read: 46, write: 50 },
  database: { read: 23, write: 30 },
  bytesPerUser: 57,
  bytesPerResponse: 653,
  bytesPerLine: 192,
};
