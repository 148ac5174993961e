// The class of an operation (S2): a read may go to a replica (S3), so what is not known to be one
// is none.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { operationOf } from '../../../shared/admission/operation.ts';
import type { Policy } from '../../../shared/control/record.ts';
import { SEED } from '../forge.ts';

function policyOf(...sessionPaths: readonly string[]): Policy {
  return {
    replicaReads: true,
    mode: 'enforce',
    hardAgeS: { write: 60, read: 300, revocation: 60 },
    slowStartS: 0,
    sessionPaths: [...sessionPaths],
  };
}

function classOf(method: string, path: string, policy = policyOf('/cart'), upgrade = false) {
  return operationOf({ method, path, upgrade }, policy);
}

test.each([
  ['GET', 'read'],
  ['HEAD', 'read'],
  ['OPTIONS', 'read'],
  ['POST', 'write'],
  ['PUT', 'write'],
  ['PATCH', 'write'],
  ['DELETE', 'write'],
  ['CONNECT', 'write'],
  ['TRACE', 'write'],
  ['QUERY', 'write'],
  ['PROPFIND', 'write'],
  ['FETCH', 'write'],
])('%s is a %s', (method, op) => {
  expect(classOf(method, '/')).toBe(op);
});

test.each([
  ['/cart', 'session'],
  ['/cart/', 'session'],
  ['/cart/1', 'session'],
  ['/cart/1/2', 'session'],
  ['/cartoons', 'read'],
  ['/cart.json', 'read'],
  ['/cart%2F1', 'read'],
  ['/Cart', 'read'],
  ['/car', 'read'],
  ['/', 'read'],
  ['/a/cart', 'read'],
])('below /cart, or not: GET %s is a %s', (path, op) => {
  expect(classOf('GET', path)).toBe(op);
});

test.each<readonly [readonly string[], string, string]>([
  [['/cart/'], '/cart', 'session'],
  [['/cart/'], '/cart/', 'session'],
  [['/cart/'], '/cart/1', 'session'],
  [['/cart/'], '/cartoons', 'read'],
  [['/'], '/', 'session'],
  [['/'], '/anything', 'session'],
  [['/a', '/b'], '/b/1', 'session'],
  [['/a/b'], '/a', 'read'],
  [[], '/cart', 'read'],
])('session paths %j: GET %s is a %s', (prefixes, path, op) => {
  expect(classOf('GET', path, policyOf(...prefixes))).toBe(op);
});

test('a session is one whatever the method', () => {
  for (const method of ['GET', 'POST', 'DELETE'])
    expect(classOf(method, '/cart/1')).toBe('session');
});

test('an upgrade is a session, wherever it goes', () => {
  for (const method of ['GET', 'POST'])
    expect(classOf(method, '/', policyOf(), true)).toBe('session');
});

test('law: what is below a session path stays a session, however deep', () => {
  const segment = fc.stringMatching(/^[a-z0-9]{1,5}$/);
  const rest = fc.array(segment, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(rest, rest, (prefix, more) => {
      const stem = `/${prefix.join('/')}`;
      expect(classOf('GET', `${stem}/${more.join('/')}`, policyOf(stem))).toBe('session');
      expect(classOf('GET', `${stem}x/${more.join('/')}`, policyOf(stem))).toBe('read');
    }),
    { seed: SEED, numRuns: 200 },
  );
});
