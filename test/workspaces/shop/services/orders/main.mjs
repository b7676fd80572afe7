import pg from 'pg';
import { serve } from '../../packages/common/http.mjs';

const { host, port, username: user, password, dbname: database } = JSON.parse(process.env.DB_SECRET ?? '{}');
const pool = new pg.Pool({ host, port, user, password, database });

// POST /orders adds one; each answer is how many there are.
serve(8080, async (method) => {
  await pool.query('create table if not exists orders (id serial primary key)');
  if (method === 'POST') await pool.query('insert into orders default values');
  const { rows } = await pool.query('select count(*)::int as orders from orders');
  return rows[0];
});
