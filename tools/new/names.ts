/** What a service and a resource may be called. */
import { UsageError } from '../../k8s/errors.ts';
import { reservedIn } from './reserved.ts';

/** Copilot puts the application, the environment and the service into the names of its stacks and target groups. */
const LONGEST_SERVICE = 40;
const LONGEST_RESOURCE = 20;
/** npm refuses to install a package into one of the same name. */
const DEPENDENCIES = ['plusone', 'plusone-service', 'knex', 'objection', 'zod', 'chai', 'mocha', 'node', 'typescript'];
/** Paths that every service has. */
const PATHS = ['livez', 'readyz', 'docs', 'assets', 'metrics', 'openapi'];
/** Folders of src/ and test/ that are there already, and `idSchema` of plusone-service. */
const TAKEN = ['migrations', 'page', 'integration', 'ids'];

/** The name of the database of a service: RDS takes letters, digits and underscores. */
export const databaseOf = (service: string) => service.replaceAll('-', '_');

/**
 * The name of a service.
 * @throws {UsageError} if it is no DNS label, or is reserved
 */
export function serviceName(name: string): string {
  if (!/^[a-z]([a-z0-9-]*[a-z0-9])?$/.test(name) || name.includes('--')) {
    const label = name
      .normalize('NFKD')
      .replace(/\p{Mark}/gu, '')
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^[^a-z]+|-+$/g, '')
      .slice(0, LONGEST_SERVICE);
    throw new UsageError(
      `NAME ${JSON.stringify(name)}: expected a DNS label: letters (a-z), digits and single hyphens, a letter first${label ? `, such as ${label}` : ''}`,
    );
  }
  if (name.length > LONGEST_SERVICE)
    throw new UsageError(
      `NAME ${name}: it has ${name.length} characters; at most ${LONGEST_SERVICE} fit into the names of AWS`,
    );
  if (DEPENDENCIES.includes(name))
    throw new UsageError(`NAME ${name}: it depends on the npm package ${name}; such as ${name}-app would be right`);
  const where = reservedIn(databaseOf(name), 'MySQL and SQL') ?? reservedIn(name, 'JavaScript', 'npm', 'Copilot');
  if (where)
    throw new UsageError(`NAME ${name}: it is a reserved word of ${where}; such as ${name}-service would be right`);
  return name;
}

/** The plural of an English noun by the usual rules. */
export function pluralOf(noun: string): string {
  if (/([sxz]|ch|sh)$/.test(noun)) return `${noun}es`;
  if (/[^aeiou]y$/.test(noun)) return `${noun.slice(0, -1)}ies`;
  return `${noun}s`;
}

/** The noun of which a name is the plural, or the name: `orders` is of `order`. */
export function singularOf(name: string): string {
  if (/ies$/.test(name)) return `${name.slice(0, -3)}y`;
  if (/([sxz]|ch|sh)es$/.test(name)) return name.slice(0, -2);
  return /[^s]s$/.test(name) ? name.slice(0, -1) : name;
}

/**
 * The name of a resource, in the singular. `given` is what the command line calls it.
 * @throws {UsageError} if it cannot be a table, a path and a class, or is reserved
 */
export function resourceName(name: string, given = '--resource'): string {
  if (!/^[a-z][a-z0-9]*$/.test(name)) {
    const word = name
      .normalize('NFKD')
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '')
      .replace(/^[0-9]+/, '');
    throw new UsageError(
      `${given} ${JSON.stringify(name)}: expected one word of small letters (a-z) and digits${word ? `, such as ${word}` : ', such as order'}`,
    );
  }
  if (name.length > LONGEST_RESOURCE)
    throw new UsageError(
      `${given} ${name}: it has ${name.length} characters; at most ${LONGEST_RESOURCE} are possible`,
    );
  if (singularOf(name) !== name)
    throw new UsageError(`${given} ${name}: expected the name of one of them, such as ${singularOf(name)}`);
  const plural = pluralOf(name);
  if (PATHS.includes(plural) || TAKEN.includes(plural))
    throw new UsageError(`${given} ${name}: every service has ${plural} of its own; another word would be right`);
  const where = reservedIn(plural, 'MySQL and SQL', 'JavaScript');
  if (where)
    throw new UsageError(
      `${given} ${name}: its table and path ${plural} are a reserved word of ${where}; such as ${name}entry would be right`,
    );
  return name;
}
