/**
 * Errors that mean that the server lacks a resource or is being changed, not that the statement is wrong. Numbers below
 * 2000 are the same in both references:
 * https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html and
 * https://mariadb.com/docs/server/reference/error-codes/mariadb-error-code-reference
 */
export const UNAVAILABLE_ERRORS = {
  'too many connections or threads': {
    ER_CON_COUNT_ERROR: 1040,
    ER_OUT_OF_RESOURCES: 1041,
    ER_HOST_IS_BLOCKED: 1129,
    ER_HOST_NOT_PRIVILEGED: 1130,
    ER_CANT_CREATE_THREAD: 1135,
    ER_TOO_MANY_USER_CONNECTIONS: 1203,
    ER_USER_LIMIT_REACHED: 1226,
    ER_TOO_MANY_CONCURRENT_TRXS: 1637,
  },
  'too many prepared statements, or one that the server dropped': {
    ER_UNKNOWN_STMT_HANDLER: 1243,
    ER_UNSUPPORTED_PS: 1295,
    ER_MAX_PREPARED_STMT_COUNT_REACHED: 1461,
    ER_NEED_REPREPARE: 1615,
  },
  'the server shuts down, or ends the session or the statement': {
    ER_SERVER_SHUTDOWN: 1053,
    ER_SHUTDOWN_COMPLETE: 1079,
    ER_ABORTING_CONNECTION: 1152,
    ER_NET_READ_ERROR_FROM_PIPE: 1154,
    ER_NET_READ_ERROR: 1158,
    ER_NET_READ_INTERRUPTED: 1159,
    ER_NET_ERROR_ON_WRITE: 1160,
    ER_NET_WRITE_INTERRUPTED: 1161,
    ER_NEW_ABORTING_CONNECTION: 1184,
    ER_QUERY_INTERRUPTED: 1317,
    ER_CONNECTION_KILLED_OF_MARIADB: 1927,
    ER_STATEMENT_TIMEOUT_OF_MARIADB: 1969,
    ER_QUERY_TIMEOUT: 3024,
    ER_SERVER_OFFLINE_MODE: 3032,
    ER_SERVER_ISNT_AVAILABLE: 3168,
    ER_SESSION_WAS_KILLED: 3169,
    ER_CLIENT_INTERACTION_TIMEOUT: 4031,
  },
  'a new primary of a replication group takes over': {
    ER_GR_HOLD_WAIT_TIMEOUT: 3781,
    ER_GR_HOLD_KILLED: 3782,
    ER_GRP_TRX_CONSISTENCY_NOT_ALLOWED: 3796,
    ER_GRP_TRX_CONSISTENCY_BEFORE: 3797,
  },
  // Galera uses the number of an unknown command, which no statement of ours causes.
  'a node of a Galera cluster has no majority, or not all data yet': { ER_UNKNOWN_COM_ERROR: 1047 },
  'out of memory, disk or other capacity': {
    ER_CANT_CREATE_FILE: 1004,
    ER_CANT_OPEN_FILE: 1016,
    ER_DISK_FULL: 1021,
    ER_ERROR_ON_READ: 1024,
    ER_ERROR_ON_WRITE: 1026,
    ER_GET_ERRNO: 1030,
    ER_OUTOFMEMORY: 1037,
    ER_OUT_OF_SORTMEMORY: 1038,
    ER_RECORD_FILE_FULL: 1114,
    ER_TRANS_CACHE_FULL: 1197,
    ER_ERROR_DURING_COMMIT: 1180,
    ER_ERROR_DURING_ROLLBACK: 1181,
    ER_LOCK_TABLE_FULL: 1206,
    ER_STACK_OVERRUN_NEED_MORE: 1436,
    ER_BINLOG_LOGGING_IMPOSSIBLE: 1598,
    ER_STMT_CACHE_FULL: 1705,
    ER_TEMP_FILE_WRITE_FAILURE: 1878,
    ER_ENGINE_OUT_OF_MEMORY: 3015,
    ER_INNODB_UNDO_LOG_FULL: 3019,
    ER_STD_BAD_ALLOC_ERROR: 3044,
    ER_CAPACITY_EXCEEDED: 3170,
    ER_DISK_FULL_NOWAIT: 3675,
    ER_DA_OOM: 3950,
    ER_MDL_OUT_OF_RESOURCES: 3985,
    ER_DA_GLOBAL_CONN_LIMIT: 4081,
    ER_DA_CONN_LIMIT: 4082,
  },
  'locked, being rebuilt or repaired, or not created yet': {
    ER_CANT_LOCK: 1015,
    ER_FILE_NOT_FOUND: 1017,
    ER_CHECKREAD: 1020,
    ER_NOT_KEYFILE: 1034,
    ER_NO_DB_ERROR: 1046,
    ER_BAD_DB_ERROR: 1049,
    ER_NO_SUCH_TABLE: 1146,
    ER_CRASHED_ON_USAGE: 1194,
    ER_CRASHED_ON_REPAIR: 1195,
    ER_LOCK_WAIT_TIMEOUT: 1205,
    ER_CANT_UPDATE_WITH_READLOCK: 1223,
    ER_TABLE_DEF_CHANGED: 1412,
    ER_LOCK_ABORTED: 1689,
    ER_TABLE_NEEDS_REBUILD: 1707,
    ER_INDEX_CORRUPT: 1712,
    ER_TABLESPACE_MISSING: 1812,
    ER_TABLESPACE_DISCARDED: 1814,
    ER_INNODB_INDEX_CORRUPT: 1817,
    ER_TABLE_CORRUPT: 1877,
    ER_NO_SUCH_TABLE_IN_ENGINE_OF_MARIADB: 1932,
    ER_RUN_HOOK_ERROR: 3100,
    ER_TRANSACTION_ROLLBACK_DURING_COMMIT: 3101,
    ER_LOCK_REFUSED_BY_ENGINE: 3177,
    ER_MISSING_TABLESPACE_FILE: 3629,
  },
  'read-only': {
    ER_OPEN_AS_READONLY: 1036,
    ER_OPTION_PREVENTS_STATEMENT: 1290,
    ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION: 1792,
    ER_READ_ONLY_MODE: 1836,
    ER_INNODB_READ_ONLY: 1874,
    ER_INNODB_FORCED_RECOVERY: 1881,
    ER_SCHEMA_READ_ONLY: 3989,
  },
  'access denied': {
    ER_DBACCESS_DENIED_ERROR: 1044,
    ER_ACCESS_DENIED_ERROR: 1045,
    ER_TABLEACCESS_DENIED_ERROR: 1142,
    ER_COLUMNACCESS_DENIED_ERROR: 1143,
    ER_SPECIFIC_ACCESS_DENIED_ERROR: 1227,
    ER_ACCESS_DENIED_NO_PASSWORD_ERROR: 1698,
    ER_MUST_CHANGE_PASSWORD: 1820,
    ER_MUST_CHANGE_PASSWORD_LOGIN: 1862,
    ER_ACCOUNT_HAS_BEEN_LOCKED: 3118,
    ER_SECURE_TRANSPORT_REQUIRED: 3159,
    ER_DB_ACCESS_DENIED: 3879,
    ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK: 3955,
  },
  // Vitess reports its own failures, such as a change of the primary, with this number.
  'a proxy without a server': { ER_UNKNOWN_ERROR: 1105 },
} as const;

const UNAVAILABLE_NUMBERS: ReadonlySet<number> = new Set(
  Object.values(UNAVAILABLE_ERRORS).flatMap((group): number[] => Object.values(group)),
);
const PREPARED_NUMBERS: ReadonlySet<number> = new Set(
  Object.values(UNAVAILABLE_ERRORS['too many prepared statements, or one that the server dropped']),
);

const INTERRUPTION_NUMBERS: ReadonlySet<number> = new Set(
  (
    [
      'the server shuts down, or ends the session or the statement',
      'a new primary of a replication group takes over',
      'a node of a Galera cluster has no majority, or not all data yet',
      'read-only',
    ] as const
  ).flatMap((group): number[] => Object.values(UNAVAILABLE_ERRORS[group])),
);

/** What a server refuses a write with that is a replica, such as those behind the reader endpoint of a cluster. */
const REPLICA_NUMBERS: ReadonlySet<number> = new Set([
  UNAVAILABLE_ERRORS['read-only'].ER_OPTION_PREVENTS_STATEMENT,
  UNAVAILABLE_ERRORS['read-only'].ER_READ_ONLY_MODE,
]);

const AUTHORITY_ADVICE =
  "set DATABASE_TLS to the path of a file with the server's certificate authority; for Amazon RDS, " +
  'https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem has those of all regions';
/** What to do about a TLS failure, by OpenSSL's message, because mysql2 replaces the code. */
const TLS_ADVICE: readonly [text: RegExp, advice: string][] = [
  [/altnames/, 'set DATABASE_HOST to a name in the certificate'],
  [/has expired/, 'renew the certificate of the server, or the authorities in the file of DATABASE_TLS'],
  [/not yet valid/, 'set the clock of this machine'],
  [/self-signed|issuer|verify the first certificate/, AUTHORITY_ADVICE],
  [/does not support secure connection/, 'enable TLS on the server, or set DATABASE_TLS=off'],
  [/insecure transport/, 'set DATABASE_TLS to rds or to the path of a file with CA certificates'],
];

/** What to check if there is no connection, by the code of Node or mysql2. */
const CONNECTION_ADVICE: Readonly<Record<string, string>> = {
  ENOTFOUND: 'DATABASE_HOST must be a name that resolves, or an address',
  EAI_AGAIN: 'no DNS server answers for DATABASE_HOST',
  ECONNREFUSED: 'nothing listens at DATABASE_HOST and DATABASE_PORT',
  EHOSTUNREACH: 'there is no route to DATABASE_HOST',
  ENETUNREACH: 'there is no route to DATABASE_HOST',
  ETIMEDOUT: 'DATABASE_HOST does not answer; if it never did, check its address and the firewall or security group',
};

/** The code of an error of mysql2 or Node, such as ECONNREFUSED or ER_LOCK_DEADLOCK. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/**
 * Whether MySQL rejected the statement itself. False for errors of the connection, those of `UNAVAILABLE_ERRORS`, and
 * numbers outside the server's own 1000–1999 and 3000–8999: smaller ones come from the operating system and the
 * storage engine, 2000–2999 from client libraries (MaxScale sends them), 9000 and above from ProxySQL and RDS Proxy.
 */
export function isStatementError(error: unknown): boolean {
  const number = numberOf(error);
  if (number === undefined || number < 1000 || (number >= 2000 && number < 3000) || number >= 9000) return false;
  return !isFatal(error) && !UNAVAILABLE_NUMBERS.has(number);
}

/** Whether the connection broke, or the server shuts down or no longer takes writes, as while its primary changes. */
export function isInterruption(error: unknown): boolean {
  const number = numberOf(error);
  return isFatal(error) || (number !== undefined && INTERRUPTION_NUMBERS.has(number));
}

/** Whether the statement can run on the same session without being prepared. */
export function needsNoPreparation(error: unknown): boolean {
  const number = numberOf(error);
  return number !== undefined && PREPARED_NUMBERS.has(number);
}

/** Why the database gave no answer, for the log. A failed connection and a replica are named, with what to do about it. */
export function unavailableReason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const code = codeOf(error);
  if (isReplica(error, message))
    return `database unavailable: the server is read-only; DATABASE_HOST may be a reader endpoint (${message})`;
  if (code?.startsWith('HANDSHAKE_') === true || code === 'ER_SECURE_TRANSPORT_REQUIRED') {
    const advice = TLS_ADVICE.find(([text]) => text.test(message))?.[1];
    return `TLS connection to the database failed: ${withAdvice(message, advice)}`;
  }
  return `database unavailable: ${withAdvice(message, code === undefined ? undefined : CONNECTION_ADVICE[code])}`;
}

function withAdvice(message: string, advice: string | undefined): string {
  return advice === undefined ? message : `${message}; ${advice}`;
}

/** The same number is used for other options of the server, which the message names. */
function isReplica(error: unknown, message: string): boolean {
  const number = numberOf(error);
  return number !== undefined && REPLICA_NUMBERS.has(number) && message.includes('read-only');
}

/** Whether mysql2 closed the connection because of the error. */
function isFatal(error: unknown): boolean {
  return error instanceof Error && 'fatal' in error && error.fatal === true;
}

function numberOf(error: unknown): number | undefined {
  return error instanceof Error && 'errno' in error && typeof error.errno === 'number' ? error.errno : undefined;
}
