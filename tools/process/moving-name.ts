/**
 * Loaded with `node --import` before a program: has it resolve the names in the file MOVING_NAMES (JSON: name → IPv4 address),
 * which may change at any time, as a DNS server with a short time to live would.
 */
import dns from 'node:dns';
import { readFileSync } from 'node:fs';

const lookup = dns.lookup;
const file = process.env.MOVING_NAMES ?? '';

function moving(host: string, ...rest: unknown[]): void {
  const address: unknown = file === '' ? undefined : Object(JSON.parse(readFileSync(file, 'utf8')))[host];
  const callback = rest.at(-1);
  if (typeof address !== 'string' || typeof callback !== 'function') {
    Reflect.apply(lookup, dns, [host, ...rest]);
    return;
  }
  const [options] = rest;
  const wantsAll = typeof options === 'object' && options !== null && 'all' in options && options.all === true;
  process.nextTick(() => (wantsAll ? callback(null, [{ address, family: 4 }]) : callback(null, address, 4)));
}

Object.defineProperty(dns, 'lookup', { value: moving });
