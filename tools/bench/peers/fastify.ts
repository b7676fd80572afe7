/** An implementation of the service for speed: Fastify with its schemas, and Knex. */
import fastify from 'fastify';
import knex from 'knex';
import { birthDateProblem, greeting, today } from '../../../src/users/birthday.ts';
import { database, poolSize, port, USERNAME } from './environment.ts';

interface User {
  username: string;
  date_of_birth: string;
}

const db = knex({ client: 'mysql2', connection: database, pool: { min: 0, max: poolSize } });
const clock = () => new Date();
const app = fastify();

const params = { type: 'object', properties: { username: { type: 'string', pattern: USERNAME.source } } };
const body = { type: 'object', required: ['dateOfBirth'], properties: { dateOfBirth: { type: 'string' } } };
const message = { type: 'object', properties: { message: { type: 'string' } } };

app.get<{ Params: { username: string } }>(
  '/hello/:username',
  { schema: { params, response: { 200: message } } },
  async (request, reply) => {
    const { username } = request.params;
    const user = await db<User>('users').where({ username }).first('date_of_birth');
    if (user === undefined) return reply.code(404).send({ error: 'unknown' });
    return { message: greeting(username, user.date_of_birth, today(clock)) };
  },
);

app.put<{ Params: { username: string }; Body: { dateOfBirth: string } }>(
  '/hello/:username',
  { schema: { params, body } },
  async (request, reply) => {
    const { username } = request.params;
    const { dateOfBirth } = request.body;
    if (birthDateProblem(dateOfBirth, today(clock)) !== undefined) return reply.code(400).send({ error: 'body' });
    await db<User>('users').insert({ username, date_of_birth: dateOfBirth }).onConflict('username').merge();
    return reply.code(204).send();
  },
);

await app.listen({ port, host: '::' });
