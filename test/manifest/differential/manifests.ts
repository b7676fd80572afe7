import fc from 'fast-check';
import { z } from 'zod';
import { inside } from '../../../manifest/decode.ts';
import { decodings, type ScalarType, schemaOf, type WorkloadType, workloadTypes } from '../../../manifest/fields.ts';
import { rows } from '../../../manifest/mapping.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Fields = { [key: string]: Json };

const types = Object.keys(workloadTypes) as WorkloadType[];

/** The least that a workload of that type has to state. */
const LEAST: Record<WorkloadType, Fields> = {
  'Load Balanced Web Service': { image: { location: 'x', port: 8080 }, http: { path: '/' } },
  'Backend Service': { image: { location: 'x', port: 8080 } },
  'Worker Service': { image: { location: 'x' } },
  'Scheduled Job': { image: { location: 'x' }, on: { schedule: '@daily' } },
  'Request-Driven Web Service': { image: { location: 'public.ecr.aws/a/b', port: 8080 } },
  'Static Site': {},
};

/** What has to stand beside a field, by the path around it. */
const BESIDE: Readonly<Record<string, Fields>> = {
  'http.additional_rules[]': { path: '/a' },
  http: { path: '/' },
  nlb: { port: '81' },
  'nlb.additional_listeners[]': { port: '82' },
  'sidecars.<name>': { image: 'x' },
  'sidecars.<name>.mount_points[]': { source_volume: 'v', path: '/v' },
  'storage.volumes.<name>': { path: '/v' },
  count: { range: '1-2', cpu_percentage: 5 },
  'count.queue_delay': { acceptable_latency: '10s', msg_processing_time: '1s' },
  'publish.topics[]': { name: 't' },
  platform: { osfamily: 'linux', architecture: 'x86_64' },
  'files[]': { source: 'x' },
};

/** Values of every kind, among them the right one for any field and those that are nearly right. */
const value: fc.Arbitrary<Json> = fc.oneof(
  fc.constantFrom(
    'a',
    '',
    '5',
    '80/udp',
    '80/tls',
    '80/',
    '0',
    '5s',
    '1m30s',
    '0.5',
    '-5s',
    '1d',
    'true',
    'yes',
    '1-3',
    '3-1',
  ),
  fc.constantFrom(
    '/a',
    '~',
    'linux/arm64',
    'windows/amd64',
    '@hourly',
    'rate(5 minutes)',
    '0 9 * * 1-5',
    'a.env',
    'grpc',
  ),
  fc.constantFrom<Json>(0, 1, 5, 150, 65_535, 65_536, -1, 5.5, 1e3, 1e30, true, false, null),
  fc.constantFrom<Json>(
    [],
    ['a'],
    [1],
    ['a', 1, true],
    [[]],
    [{}],
    [{ a: 'b' }],
    [null],
    ['10.0.0.0/8'],
    [{ name: 'a.b' }],
  ),
  fc.constantFrom<Json>(
    {},
    { a: 'b' },
    { a: 1 },
    { a: null },
    { a: [] },
    { a: {} },
    { from_cfn: 'x' },
    { from_cfn: '' },
  ),
  fc.constantFrom<Json>(
    { secretsmanager: 'x' },
    { path: '/a' },
    { value: 5 },
    { enable: true },
    { min: 1, max: 2 },
    { port: 80 },
  ),
  fc.constantFrom<Json>(
    { build: 'D' },
    { a: { image: 'x' } },
    { a: { path: '/v' } },
    { a: { efs: true } },
    { alias: 'a' },
  ),
);

/** A manifest of any type with a few fields of the table, each with a value of any kind, some in an environment's section. */
export const wild: fc.Arbitrary<Fields> = fc.constantFrom(...types).chain((type) => {
  const paths = rows(type).map(({ path }) => path);
  const field = fc.record({
    path: fc.constantFrom(...paths),
    value,
    place: fc.constantFrom('', '', '', 'test', 'prod'),
  });
  return fc.array(field, { minLength: 1, maxLength: 3 }).map((fields) => {
    const whole: Fields = structuredClone(LEAST[type]);
    for (const { path, value, place } of fields) {
      const environments = place === '' ? undefined : child(child(whole, 'environments'), place);
      put(environments ?? whole, path.replaceAll('[]', '.[]').split('.'), structuredClone(value), '');
    }
    return { ...whole, name: 'api', type };
  });
});

function child(fields: Fields, name: string): Fields {
  const had = fields[name];
  const kept = typeof had === 'object' && had !== null && !Array.isArray(had) ? had : {};
  fields[name] = kept;
  return kept;
}

/** Sets the field at the path, with what has to stand beside each map on the way. */
function put(fields: Fields, [step = '', ...rest]: string[], value: Json, around: string): void {
  const name = step === '<name>' ? 'v' : step;
  const path = around ? `${around}.${step}` : step;
  if (rest.length === 0) {
    fields[name] = value;
  } else if (rest[0] === '[]') {
    const at = `${path}[]`;
    const item: Fields = { ...BESIDE[at] };
    if (rest.length > 1) put(item, rest.slice(1), value, at);
    fields[name] = [rest.length > 1 ? item : value];
  } else {
    const inner = child(fields, name);
    Object.assign(inner, { ...BESIDE[path], ...inner });
    put(inner, rest, value, path);
  }
}

const names = fc.constantFrom('v', 's', 'api');

/** Values of the right type, some of which break a rule. */
const RIGHT: Record<ScalarType, fc.Arbitrary<Json>> = {
  string: fc.constantFrom(
    'a',
    'api',
    's',
    'v',
    '/',
    '80',
    '81/udp',
    '443/tls',
    '1-4',
    'linux/x86_64',
    '10.0.0.0/8',
    '10s',
    'a.env',
  ),
  int: fc.constantFrom(1, 2, 20, 80, 81, 8080),
  uint16: fc.constantFrom(80, 81, 443, 8080),
  uint32: fc.constantFrom(0, 1, 1000),
  float64: fc.constantFrom(1, 70.5),
  bool: fc.boolean(),
  duration: fc.constantFrom('0s', '1s', '10s', '1m30s'),
  any: fc.constantFrom('a', 5, ['a']),
};

/** Texts of fields that take few. */
const FEW: Readonly<Record<string, readonly string[]>> = {
  osfamily: ['linux', 'windows', 'windows_server_2022_full'],
  architecture: ['x86_64', 'arm64'],
  placement: ['public', 'private'],
  rolling: ['default', 'recreate'],
  version: ['grpc', 'http2'],
  schedule: ['@daily', '@every 90m', '0 9 * * 1-5', 'none'],
  depends_on: ['start', 'healthy', 'complete'],
  throughput_limit: ['perQueue', 'perMessageGroupId'],
  deduplication_scope: ['queue', 'messageGroup'],
  tracing: ['awsxray'],
  platform: ['linux/arm64', 'windows/amd64', 'linux/amd64'],
  source_volume: ['v'],
  target_container: ['s', 'api', 'v'],
  certificate: ['arn:aws:acm:us-east-1:1:certificate/a', 'arn:aws:acm:eu-west-1:1:certificate/a'],
};

/** A value that the schema takes, mostly; `name` is that of the field around it. */
function fitting(schema: z.core.$ZodType, name: string, depth: number): fc.Arbitrary<Json> {
  const own = inside(schema);
  const decoding = decodings.get(own);
  if (decoding && 'type' in decoding) {
    const few = FEW[name];
    const right = few && decoding.type === 'string' ? fc.constantFrom(...few) : RIGHT[decoding.type];
    return fc.oneof({ weight: 60, arbitrary: right }, { weight: 1, arbitrary: value });
  }
  if (decoding) return fc.oneof(fitting(decoding.short, name, depth), fitting(decoding.long, name, depth));
  if (own instanceof z.ZodRecord) return fc.dictionary(names, fitting(own.valueType, name, depth + 1), { maxKeys: 2 });
  if (own instanceof z.ZodArray) return fc.array(fitting(own.element, name, depth + 1), { maxLength: 2 });
  return own instanceof z.ZodObject ? struct(own.shape, depth) : value;
}

function struct(shape: z.core.$ZodShape, depth: number): fc.Arbitrary<Fields> {
  const fields = Object.entries(shape);
  return fc
    .subarray(fields, { minLength: 1, maxLength: Math.min(fields.length, depth === 0 ? 5 : 3) })
    .chain((some) => {
      return fc.record(Object.fromEntries(some.map(([name, field]) => [name, fitting(field, name, depth + 1)])));
    });
}

/** A manifest of any type whose fields hold what the table says, mostly; what it has to state may be replaced. */
export const likely: fc.Arbitrary<Fields> = fc.constantFrom(...types).chain((type) => {
  const { name: _, type: __, ...config } = schemaOf(type, 'of one environment').shape;
  const fields = struct(config, 0);
  const places = fc.oneof(
    fc.constant({}),
    fc.record({ test: struct(config, 1) }),
    fc.record({ prod: struct(config, 1) }),
  );
  return fc.tuple(fields, places).map(([stated, environments]): Fields => {
    const whole = complete({ ...LEAST[type], ...stated }, '') as Fields;
    const sections = Object.entries(environments).map(([name, section]) => [name, complete(section, '')]);
    return { ...whole, name: 'api', type, environments: Object.fromEntries(sections) };
  });
});

/** The same with what has to stand beside its fields, unless it is there. */
function complete(json: Json, path: string): Json {
  if (Array.isArray(json)) return json.map((item) => complete(item, `${path}[]`));
  if (typeof json !== 'object' || json === null) return json;
  const isFree = /^(sidecars|storage\.volumes)$/.test(path);
  const inner = Object.entries(json).map(([name, item]): [string, Json] => {
    const step = isFree ? '<name>' : name;
    return [name, complete(item, path === '' ? step : `${path}.${step}`)];
  });
  return { ...BESIDE[path], ...Object.fromEntries(inner) };
}
