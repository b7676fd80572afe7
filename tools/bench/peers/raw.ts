/** The baseline: node:http and mysql2, with one prepared statement per request. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import mysql, { type RowDataPacket } from 'mysql2';
import { birthDateProblem, greeting, today } from '../../../src/users/birthday.ts';
import { database, poolSize, port, USERNAME } from './environment.ts';

const SELECT = 'SELECT date_of_birth FROM users WHERE username = ?';
const UPSERT =
  'INSERT INTO users (username, date_of_birth) VALUES (?, ?) ON DUPLICATE KEY UPDATE date_of_birth = VALUES(date_of_birth)';
const PATH = '/hello/';

const pool = mysql.createPool({ ...database, connectionLimit: poolSize });
const clock = () => new Date();

function get(username: string, response: ServerResponse): void {
  pool.execute<RowDataPacket[]>(SELECT, [username], (error, rows) => {
    const [row] = rows ?? [];
    if (error) send(response, 500, { error: 'database' });
    else if (row === undefined) send(response, 404, { error: 'unknown' });
    else send(response, 200, { message: greeting(username, row.date_of_birth, today(clock)) });
  });
}

function put(username: string, request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const dateOfBirth = dateOfBirthIn(Buffer.concat(chunks).toString());
    if (dateOfBirth === undefined) return send(response, 400, { error: 'body' });
    pool.execute(UPSERT, [username, dateOfBirth], (error) => {
      if (error) return send(response, 500, { error: 'database' });
      response.writeHead(204);
      response.end();
    });
  });
}

function dateOfBirthIn(text: string): string | undefined {
  try {
    const { dateOfBirth } = JSON.parse(text);
    return typeof dateOfBirth === 'string' && birthDateProblem(dateOfBirth, today(clock)) === undefined
      ? dateOfBirth
      : undefined;
  } catch {
    return undefined;
  }
}

function send(response: ServerResponse, status: number, value: object): void {
  const body = JSON.stringify(value);
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}

createServer((request, response) => {
  const { url = '', method } = request;
  const username = url.slice(PATH.length);
  if (!url.startsWith(PATH) || !USERNAME.test(username)) return send(response, 404, { error: 'path' });
  if (method === 'GET') return get(username, response);
  if (method === 'PUT') return put(username, request, response);
  send(response, 405, { error: 'method' });
}).listen(port);
