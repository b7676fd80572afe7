// Each request is a note; the answer is how many there are.
import { createServer } from 'node:http';
import { createPool } from 'mysql2/promise';

const { DB_HOST: host = '', DB_PORT: port, DB_SECRET = '{}', TABLE } = process.env;
const { username: user, password } = JSON.parse(DB_SECRET);
const pool = createPool({ host, port: Number(port), user, password, database: 'notes', connectTimeout: 2000 });

const server = createServer(async ({ url }, response) => {
  try {
    await pool.query(`create table if not exists ${TABLE} (id int auto_increment primary key, path text)`);
    if (url !== '/') await pool.query(`insert into ${TABLE} (path) values (?)`, [url]);
    const [rows] = await pool.query(`select count(*) as notes from ${TABLE}`);
    response.end(JSON.stringify(rows));
  } catch (error) {
    response.writeHead(503).end(String(error));
  }
});
server.listen(8080);
process.on('SIGTERM', () => server.close(() => pool.end()));
