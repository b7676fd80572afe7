/** What the npm package `plusone-service` offers to the services that `plusone new` writes. */

export type { Request, Response, Server } from 'restify';

export { createStore, type Entry, type Store, type StoreStatistics, type Table } from '../../../src/database/store.ts';
export { sendJson, sendNoContent } from '../../../src/http/answers.ts';
export { requireToken } from '../../../src/http/authorization.ts';
export { readJson } from '../../../src/http/body.ts';
export type { Resource } from '../../../src/http/direct.ts';
export { requireAcceptable } from '../../../src/http/negotiation.ts';
export { type FieldError, Problem } from '../../../src/http/problems.ts';
export { getAndHead } from '../../../src/http/restify.ts';
export { invalidFields, parseBody } from '../../../src/http/validation.ts';
export { createHttpServer, type ServerParts } from '../../../src/http-server.ts';
export { run, type ServiceParts } from '../../../src/run.ts';
export type { OpenApi } from '../../../src/web/contract.ts';
export { commonPages, page, servePages, TYPES } from '../../../src/web/static.ts';
export { describeService, type ResourceApi } from './api.ts';
export { boolean, date, datetime, decimal, email, fields, ID, idSchema, integer, number, text } from './fields.ts';
export { readPage } from './paging.ts';
export type { OpenResource, ResourceDefinition } from './resource.ts';
export { tableOf } from './table.ts';
