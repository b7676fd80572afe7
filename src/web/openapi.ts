import { birthdaySchema, USERNAME, usernameSchema } from '../users/schemas.ts';
import { change, describeApi, everywhere, failing, type OpenApi, ref, schemaOf } from './contract.ts';

/**
 * The whole HTTP surface of the public port as an OpenAPI 3.1 document, ready for `JSON.stringify`.
 * The integration suite holds every answer it gets against it, so it is the contract and not a description of it.
 *
 * @param version The service's own version, as in package.json.
 * @param closed Whether changes need a token.
 */
export function openapi(version: string, { closed }: { closed: boolean } = { closed: false }): OpenApi {
  const put = change(closed, 413, 415, 503);
  const remove = change(closed, 404, 503);
  return describeApi({
    name: 'plusone',
    title: 'Plusone',
    version,
    summary: 'Remembers birthdays and counts the days until the next one.',
    description:
      'Today is the date in UTC. Somebody born on 29 February has their birthday on 1 March in common years. ' +
      'Every GET can be asked as HEAD. Every answer carries an x-request-id. ' +
      'Every error is application/problem+json (RFC 9457); a path that is not listed here answers 404, ' +
      'a method that a path does not have answers 405 with Allow.',
    license: 'MIT',
    closed,
    tags: [{ name: 'Birthdays', description: 'Save, read and delete a birthday.' }],
    paths: {
      '/hello/{username}': {
        get: {
          operationId: 'getBirthday',
          tags: ['Birthdays'],
          summary: 'Say hello, with the days until the birthday',
          description:
            'Counts whole days from today, in UTC, to the next birthday. On the day itself it congratulates.',
          parameters: [ref('parameters/Username')],
          responses: {
            '200': {
              description: 'A greeting with the days left.',
              headers: everywhere,
              content: {
                'application/json': {
                  schema: ref('schemas/Greeting'),
                  examples: {
                    daysLeft: {
                      summary: 'Any other day',
                      value: { message: 'Hello, ann! Your birthday is in 5 day(s)' },
                    },
                    today: { summary: 'The day itself', value: { message: 'Hello, ann! Happy birthday!' } },
                  },
                },
              },
              links: { put: ref('links/PutBirthday'), delete: ref('links/DeleteBirthday') },
            },
            ...failing(404, 406, 503),
          },
        },
        put: {
          operationId: 'putBirthday',
          tags: ['Birthdays'],
          summary: 'Save or replace a birthday',
          description:
            'Creates the name or replaces its date of birth. Sending the same request again changes nothing. ' +
            'Once 204 has arrived, the next GET sees it.',
          parameters: [ref('parameters/Username')],
          ...put.security,
          requestBody: {
            required: true,
            description: 'At most 16 KiB, not compressed. Unknown fields are refused.',
            content: {
              'application/json': { schema: ref('schemas/Birthday'), example: { dateOfBirth: '2000-02-29' } },
            },
          },
          responses: {
            '204': {
              description: 'Saved.',
              headers: everywhere,
              links: { get: ref('links/GetBirthday'), delete: ref('links/DeleteBirthday') },
            },
            ...put.failures,
          },
        },
        delete: {
          operationId: 'deleteBirthday',
          tags: ['Birthdays'],
          summary: 'Delete a birthday',
          description: 'Forgets the name and its date of birth.',
          parameters: [ref('parameters/Username')],
          ...remove.security,
          responses: {
            '204': {
              description: 'Deleted.',
              headers: everywhere,
              links: { get: ref('links/GetBirthday'), put: ref('links/PutBirthday') },
            },
            ...remove.failures,
          },
        },
      },
    },
    index: index(version),
    home: {
      description:
        'A browser (Accept: text/html) gets the page, everything else gets JSON. ' +
        'With a username in the query, the page shows the days left without any script.',
      parameters: [
        {
          name: 'username',
          in: 'query',
          description: 'The page answers for this name. JSON ignores it.',
          schema: { type: 'string' },
          example: 'ann',
        },
      ],
      fails: [503],
    },
    schemas: {
      Username: schemaOf(usernameSchema),
      Birthday: schemaOf(birthdaySchema),
      Greeting: {
        type: 'object',
        description: 'What is said to a name.',
        required: ['message'],
        additionalProperties: false,
        properties: {
          message: {
            type: 'string',
            description: 'The greeting, in English.',
            pattern: `^Hello, ${USERNAME}! (Happy birthday!|Your birthday is in [1-9][0-9]{0,2} day\\(s\\))$`,
          },
        },
      },
    },
    parameters: {
      Username: {
        name: 'username',
        in: 'path',
        required: true,
        description: String(usernameSchema.description),
        schema: ref('schemas/Username'),
        example: 'ann',
      },
    },
    examplePath: '/hello/ann',
    badRequest: { description: 'The username, the body or the request itself is not right.', field: 'dateOfBirth' },
    notFound: { description: 'No birthday is known by that name.', detail: 'No birthday is known for ann.' },
    links: {
      GetBirthday: {
        operationId: 'getBirthday',
        description: 'Read it back.',
        parameters: { username: '$request.path.username' },
      },
      PutBirthday: {
        operationId: 'putBirthday',
        description: 'Save another date.',
        parameters: { username: '$request.path.username' },
      },
      DeleteBirthday: {
        operationId: 'deleteBirthday',
        description: 'Delete it.',
        parameters: { username: '$request.path.username' },
      },
    },
  });
}

/** What `GET /` says to programs: the name, the version, and where to go on from here. */
export function index(version: string) {
  return {
    name: 'plusone',
    version,
    links: {
      hello: '/hello/{username}',
      openapi: '/openapi.json',
      docs: '/docs',
      live: '/livez',
      ready: '/readyz',
    },
  };
}
