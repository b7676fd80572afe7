import type { Request, Response } from 'restify';
import type { StoreStatistics } from '../../../src/database/store.ts';
import type { Resource } from '../../../src/http/direct.ts';
import type { ServiceParts } from '../../../src/run.ts';
import type { ResourceApi } from './api.ts';

/** Opens a resource on the database. */
export type ResourceDefinition = (parts: ServiceParts) => OpenResource;

/** A resource of a service. */
export interface OpenResource {
  /** How the API description has it. */
  readonly api: ResourceApi;
  readonly store: { statistics(): StoreStatistics };
  /** GET of the path of all. */
  list(request: Request, response: Response): Promise<void>;
  /** The path of one. */
  readonly one: Resource;
}
