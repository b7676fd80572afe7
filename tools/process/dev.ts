/** `make dev`: runs the service on a private database and restarts it when its code changes, until Ctrl-C. */
import { fileURLToPath } from 'node:url';
import { develop } from './develop.ts';

await develop({ folder: fileURLToPath(new URL('../../', import.meta.url)), name: 'plusone' });
