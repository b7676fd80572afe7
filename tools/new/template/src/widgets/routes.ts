import {
  createStore,
  ID,
  idSchema,
  type OpenResource,
  Problem,
  parseBody,
  readJson,
  readPage,
  requireAcceptable,
  requireToken,
  type ServiceParts,
  sendJson,
  sendNoContent,
  tableOf,
} from 'plusone-service';
import { WidgetModel } from './model.ts';
import { widgetSchema } from './schema.ts';

const PATH = '/widgets';

/** The widgets on an open database: how the API description has them, their store, and what each request does. */
export function widgets({ database, config, tracing }: ServiceParts): OpenResource {
  const table = tableOf(WidgetModel, widgetSchema);
  const store = createStore(database, table, config.database.queueLimit, tracing);

  return {
    api: {
      path: PATH,
      name: 'Widget',
      plural: 'Widgets',
      schema: widgetSchema,
    },
    store,

    async list(request, response) {
      requireAcceptable(request, 'application/json');
      const { after, limit } = readPage(request);
      // One more than the page has says whether there is a next one.
      const found = await store.list(after, limit + 1);
      const items = found.slice(0, limit).map(({ key, value }) => ({ id: key, ...value }));
      const last = found.length > limit ? items.at(-1) : undefined;
      sendJson(response, 200, { items, ...(last && { next: `${PATH}?after=${last.id}&limit=${limit}` }) });
    },

    one: {
      path: `${PATH}/:id`,
      parameter: 'id',
      plainPath: new RegExp(`^${PATH}/(${ID})$`),
      handlers: {
        async GET(request, response, id) {
          requireAcceptable(request, 'application/json');
          checkId(id);
          const found = await store.find(id);
          if (found === undefined) throw unknown(id);
          sendJson(response, 200, { id, ...found });
        },

        async PUT(request, response, id) {
          requireToken(request, config.writeToken);
          checkId(id);
          await store.save(id, parseBody(widgetSchema, await readJson(request)));
          sendNoContent(response);
        },

        async DELETE(request, response, id) {
          requireToken(request, config.writeToken);
          checkId(id);
          if (!(await store.remove(id))) throw unknown(id);
          sendNoContent(response);
        },
      },
    },
  };
}

function checkId(id: string): void {
  if (!idSchema.safeParse(id).success) throw new Problem(400, `The id must be ${idSchema.description}`);
}

function unknown(id: string): Problem {
  return new Problem(404, `There is no widget ${id}.`);
}
