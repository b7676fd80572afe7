/** The settings of every server of the comparison: its port, the database, and the same pool size as the service. */
export const port = Number(process.env.PORT);

export const database = {
  host: process.env.DATABASE_HOST ?? '127.0.0.1',
  port: Number(process.env.DATABASE_PORT),
  database: process.env.DATABASE_NAME ?? 'plusone',
  user: process.env.DATABASE_USERNAME ?? '',
  password: process.env.DATABASE_PASSWORD ?? '',
  dateStrings: true,
};

export const poolSize = 10;

export const USERNAME = /^[A-Za-z]{1,64}$/;
