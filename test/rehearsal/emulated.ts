import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Workspace } from '../../tools/aws/workspace-copy.ts';

/**
 * Has the service and its migrations trust this CA (the path of a PEM file) instead of Amazon's, the way that README has
 * for it: the image takes the file along, and DATABASE_TLS names it.
 */
export function trustDatabases(workspace: Workspace, ca: string): void {
  writeFileSync(join(workspace.folder, 'src/rds-ca.pem'), readFileSync(ca), { mode: 0o644 });
  workspace.declare({ 'variables.DATABASE_TLS': 'src/rds-ca.pem' });
}

/**
 * Gives the tasks credentials that nobody issued. The AWS SDK takes those of a task's role from a fixed address only
 * (https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html), where no emulator listens.
 */
export function giveCredentials(workspace: Workspace): void {
  workspace.declare({ 'variables.AWS_ACCESS_KEY_ID': 'nobody', 'variables.AWS_SECRET_ACCESS_KEY': 'nobody' });
}
