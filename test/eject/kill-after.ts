import { subscribe } from 'node:diagnostics_channel';

// Preloaded with --import: kills this process, as kill -9 does, when it has had KILL_AFTER answers over HTTP.
const last = Number(process.env.KILL_AFTER);
let answers = 0;
subscribe('http.client.response.finish', () => {
  answers += 1;
  if (answers === last) process.kill(process.pid, 'SIGKILL');
});
