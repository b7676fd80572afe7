#!/usr/bin/env node
// `npm create plusone@latest NAME -- OPTIONS` runs this: `plusone new NAME OPTIONS`, of the same version.
process.argv.splice(2, 0, 'new');
await import('plusone/cli');
