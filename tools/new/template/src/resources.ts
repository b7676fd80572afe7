import type { ResourceDefinition } from 'plusone-service';
import { widgets } from './widgets/routes.ts';

/** The resources of the service, as functions that open them on the database. */
export const RESOURCES: readonly ResourceDefinition[] = [widgets];
