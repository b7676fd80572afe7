/** A typical implementation of the service: Express and Knex. */
import express from 'express';
import knex from 'knex';
import { birthDateProblem, greeting, today } from '../../../src/users/birthday.ts';
import { database, poolSize, port, USERNAME } from './environment.ts';

interface User {
  username: string;
  date_of_birth: string;
}

const db = knex({ client: 'mysql2', connection: database, pool: { min: 0, max: poolSize } });
const clock = () => new Date();
const app = express();

app.get('/hello/:username', async (request, response) => {
  const { username } = request.params;
  if (!USERNAME.test(username)) return void response.status(400).json({ error: 'username' });
  const user = await db<User>('users').where({ username }).first('date_of_birth');
  if (user === undefined) return void response.status(404).json({ error: 'unknown' });
  response.json({ message: greeting(username, user.date_of_birth, today(clock)) });
});

app.put('/hello/:username', express.json(), async (request, response) => {
  const { username } = request.params;
  const dateOfBirth: unknown = request.body?.dateOfBirth;
  if (!USERNAME.test(String(username))) return void response.status(400).json({ error: 'username' });
  if (typeof dateOfBirth !== 'string' || birthDateProblem(dateOfBirth, today(clock)) !== undefined) {
    return void response.status(400).json({ error: 'body' });
  }
  await db<User>('users').insert({ username, date_of_birth: dateOfBirth }).onConflict('username').merge();
  response.status(204).end();
});

app.listen(port);
