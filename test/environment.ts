import { cleanEnvironment } from '../tools/process/clean-environment.ts';

// Mocha loads this before all tests (.mocharc.yml): they, and the processes that they start, see no variable of the shell
// that would change what they test. BASE_URL names a service to test; its token belongs to it.
const { BASE_URL, WRITE_TOKEN } = process.env;
const clean = cleanEnvironment();
for (const name of Object.keys(process.env)) if (!(name in clean)) delete process.env[name];
if (BASE_URL && WRITE_TOKEN) process.env.WRITE_TOKEN = WRITE_TOKEN;
