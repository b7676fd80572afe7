import { config } from 'chai';
import { cleanEnvironment } from '../tools/process/clean-environment.ts';

// Mocha loads this before all tests (.mocharc.yml): no variable of the shell affects the tests and their child processes.
// BASE_URL names a service to test, and WRITE_TOKEN is its token.
const { BASE_URL, WRITE_TOKEN } = process.env;
const clean = cleanEnvironment();
for (const name of Object.keys(process.env)) if (!(name in clean)) delete process.env[name];
if (BASE_URL && WRITE_TOKEN) process.env.WRITE_TOKEN = WRITE_TOKEN;

// The output of a program, in which the reason of a failure stands, is often long.
config.truncateThreshold = 0;
