/** Databases and caches of addons as pods of the same engines. */
import { createHash } from 'node:crypto';
import { type KubernetesObject, kubernetesObject } from './objects.ts';

type Engine = 'mysql' | 'postgres' | 'redis' | 'memcached';

/** A database server, and the account that the template gives its master user. */
export interface Database {
  /** The name of its Service, unique in the namespace. */
  name: string;
  engine: Engine;
  image: string;
  user: string;
  password: string;
  /** The initial database; none for a cache. */
  database: string | undefined;
}

export const databasePort: Readonly<Record<Engine, number>> = {
  mysql: 3306,
  postgres: 5432,
  redis: 6379,
  memcached: 11211,
};

/**
 * The engine for that name in RDS or ElastiCache, and the image of the nearest version; undefined for other engines.
 */
export function engineOf(stated: string, version = ''): { engine: Engine; image: string } | undefined {
  const name = stated.toLowerCase();
  if (/mysql|mariadb|^aurora$/.test(name)) return { engine: 'mysql', image: 'mysql:8.4' };
  if (/postgres/.test(name)) {
    const major = Number.parseInt(version, 10);
    return { engine: 'postgres', image: `postgres:${major >= 13 && major <= 18 ? major : 16}` };
  }
  if (/redis|valkey/.test(name)) return { engine: 'redis', image: 'redis:7' };
  if (/memcached/.test(name)) return { engine: 'memcached', image: 'memcached:1.6' };
  return undefined;
}

/** A password that is the same in every run, because the data are kept; it is valid in this cluster only. */
export function localPassword(...about: readonly string[]): string {
  return `local-${createHash('sha256').update(about.join('/')).digest('hex').slice(0, 20)}`;
}

/** The objects of a database: Secret, PersistentVolumeClaim, server and Service. */
export function databaseObjects(namespace: string, database: Database): KubernetesObject[] {
  const { name, engine, image } = database;
  const labels = { 'app.kubernetes.io/name': name, 'app.kubernetes.io/part-of': 'local-kind' };
  const metadata = { name, namespace, labels };
  const port = databasePort[engine];
  const server = servers[engine](database);
  const env = Object.keys(server.secrets).map((key) => ({ name: key, valueFrom: { secretKeyRef: { name, key } } }));
  const hasData = server.data !== undefined;
  const settings = createHash('sha256').update(JSON.stringify(server)).digest('hex').slice(0, 16);
  return [
    { apiVersion: 'v1', kind: 'Secret', metadata, stringData: { ...server.secrets, ...server.files } },
    ...(hasData
      ? [
          {
            apiVersion: 'v1',
            kind: 'PersistentVolumeClaim',
            metadata,
            spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
          },
        ]
      : []),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { selector: { 'app.kubernetes.io/name': name }, ports: [{ name: 'server', port }] },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas: 1,
        strategy: { type: 'Recreate' },
        selector: { matchLabels: { 'app.kubernetes.io/name': name } },
        template: {
          // A pod that failed by its settings is replaced when they change.
          metadata: { labels, annotations: { settings } },
          spec: {
            automountServiceAccountToken: false,
            enableServiceLinks: false,
            ...(server.user === undefined ? {} : { securityContext: { fsGroup: server.user } }),
            initContainers: [],
            containers: [
              {
                name: engine,
                image,
                imagePullPolicy: 'IfNotPresent',
                env: [...env, ...Object.entries(server.variables).map(([key, value]) => ({ name: key, value }))],
                ports: [{ containerPort: port }],
                startupProbe: {
                  ...probe(server.ready, port),
                  periodSeconds: 1,
                  timeoutSeconds: 5,
                  failureThreshold: 180,
                },
                readinessProbe: { ...probe(server.ready, port), periodSeconds: 5, timeoutSeconds: 5 },
                resources: { requests: { cpu: '20m', memory: '64Mi' }, limits: { memory: '1Gi' } },
                volumeMounts: [
                  ...(server.data ? [{ name: 'data', mountPath: server.data }] : []),
                  ...Object.keys(server.files).map((file) => ({
                    name: 'files',
                    mountPath: `/docker-entrypoint-initdb.d/${file}`,
                    subPath: file,
                  })),
                ],
              },
            ],
            volumes: [
              ...(hasData ? [{ name: 'data', persistentVolumeClaim: { claimName: name } }] : []),
              ...(Object.keys(server.files).length > 0 ? [{ name: 'files', secret: { secretName: name } }] : []),
            ],
          },
        },
      },
    },
  ].map((object) => kubernetesObject.parse(object));
}

function probe(command: readonly string[] | undefined, port: number) {
  return command ? { exec: { command } } : { tcpSocket: { port } };
}

interface Server {
  /** Variables that hold the account. */
  secrets: Record<string, string>;
  variables: Record<string, string>;
  /** The files that it runs when it initialises its data. */
  files: Record<string, string>;
  data: string | undefined;
  /** The group that owns its data. */
  user: number | undefined;
  ready: readonly string[] | undefined;
}

const cache: Server = { secrets: {}, variables: {}, files: {}, data: undefined, user: undefined, ready: undefined };

const servers: Readonly<Record<Engine, (database: Database) => Server>> = {
  mysql: ({ user, password, database }) => ({
    secrets: {
      MYSQL_ROOT_PASSWORD: password,
      ...(user === 'root' ? {} : { MYSQL_USER: user, MYSQL_PASSWORD: password }),
      ...(database === undefined ? {} : { MYSQL_DATABASE: database }),
    },
    variables: {},
    // The master user of RDS may create databases and users.
    files: user === 'root' ? {} : { 'grant.sql': `GRANT ALL ON *.* TO '${user}'@'%' WITH GRANT OPTION;\n` },
    data: '/var/lib/mysql',
    user: 999,
    // Over TCP: while the data directory is initialised, the server answers only on the socket.
    ready: ['sh', '-c', 'MYSQL_PWD=$MYSQL_ROOT_PASSWORD mysqladmin ping -h 127.0.0.1 -u root'],
  }),
  postgres: ({ user, password, database }) => ({
    secrets: {
      POSTGRES_USER: user,
      POSTGRES_PASSWORD: password,
      ...(database === undefined ? {} : { POSTGRES_DB: database }),
    },
    variables: { PGDATA: '/var/lib/postgresql/data/pgdata' },
    files: {},
    data: '/var/lib/postgresql/data',
    user: 999,
    ready: ['sh', '-c', 'pg_isready -h 127.0.0.1 -U "$POSTGRES_USER"'],
  }),
  redis: () => cache,
  memcached: () => cache,
};
