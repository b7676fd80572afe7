import { setGlobalProxyFromEnv } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';

// A worker that asks the address in its workerData again and again until it gets a message, and answers with what came.
setGlobalProxyFromEnv();
const failures: string[] = [];
let requests = 0;
let isOver = false;
parentPort?.once('message', () => {
  isOver = true;
});
await Promise.all(
  Array.from({ length: 4 }, async () => {
    while (!isOver) {
      requests += 1;
      try {
        const response = await fetch(String(workerData), { signal: AbortSignal.timeout(20_000) });
        const text = await response.text();
        if (response.status !== 200) failures.push(`${response.status} ${text.slice(0, 100)}`);
      } catch (error) {
        failures.push(String(error));
      }
      await sleep(50);
    }
  }),
);
parentPort?.postMessage({ requests, failures });
parentPort?.close();
