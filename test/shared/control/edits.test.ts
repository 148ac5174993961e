// What a commit's operations say, before anything is asked of the state (C4: halt, never skip).

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonical, utf8Length } from '../../../shared/canonical.ts';
import { parseOperations } from '../../../shared/control/edits.ts';
import type { Operation } from '../../../shared/control/envelope.ts';
import { RECORD_BYTES_MAX } from '../../../shared/limits.ts';
import { policyOfBytes } from '../drafts.ts';
import { codeOf, SEED } from '../forge.ts';
import { FIRST, put, region, tenantPuts } from '../kit.ts';

const SCOPE = { regions: ['eu1'], ingress: 'any' };
const ACME = tenantPuts('acme', { hosts: ['acme.example'], scope: 'eu', home: 'eu1' });
const [TENANT, PLACEMENT] = ACME.map((one) => (one.op === 'put' ? one.value : null));

function del(key: string): Operation {
  return { op: 'delete', key };
}

test.each<readonly [string, readonly Operation[], string]>([
  ['the first commit', FIRST, 'edits'],
  ['no operation', [], 'edits'],
  ['a deletion', [del('global/scopes/eu')], 'edits'],
  ['a tenant retired', [del('tenants/acme/tenant')], 'edits'],
  ['a key of another tree', [put('head', 1)], 'operations'],
  ['a runtime key', [put('tenants/acme/lease', {})], 'operations'],
  ['a deletion of no key', [del('global/nothing/x')], 'operations'],
  ['an id that every object has', [put('global/sites/constructor', {})], 'operations'],
  ['__proto__ as an id', [put('global/sites/__proto__', {})], 'operations'],
  ['a key put twice', [...ACME, ...ACME.slice(1)], 'operations'],
  [
    'a key put and deleted',
    [put('global/scopes/eu', SCOPE), del('global/scopes/eu')],
    'operations',
  ],
  ['null as a record', [put('global/scopes/eu', null)], 'record'],
  ['null as a tenant', [put('tenants/acme/tenant', null)], 'record'],
  ['null as a placement', [put('tenants/acme/placement', null)], 'record'],
  ['an unknown field', [put('global/scopes/eu', { ...SCOPE, later: true })], 'record'],
  [
    'a tenant with an unknown field',
    [put('tenants/a/tenant', { ...Object(TENANT), x: 1 })],
    'record',
  ],
  [
    'a placement with an unknown field',
    [put('tenants/a/placement', { ...Object(PLACEMENT), cutover: '1' })],
    'record',
  ],
  ['a scope of no region', [put('global/scopes/eu', { ...SCOPE, regions: [] })], 'record'],
  ['slot 64', [put('global/sites/eu1', region(64, [0, 0], 'https://a.example'))], 'record'],
  ['a text for a record', [put('global/scopes/eu', 'eu')], 'record'],
  ['an array for a record', [put('global/scopes/eu', [])], 'record'],
  // Attack: a forgotten epoch lets the old home come back with it (F1, I2).
  ['a placement deleted', [del('tenants/acme/placement')], 'placement'],
])('%s', (_name, operations, code) => {
  expect(codeOf(parseOperations(operations))).toBe(code);
});

test('a record of 32 KiB is taken, a byte more is refused', () => {
  const code = (value: unknown) => codeOf(parseOperations([put('global/policies/std', value)]));
  expect(utf8Length(canonical(policyOfBytes(RECORD_BYTES_MAX)))).toBe(32 * 1024);
  expect(code(policyOfBytes(RECORD_BYTES_MAX))).toBe('edits');
  expect(code(policyOfBytes(RECORD_BYTES_MAX + 1))).toBe('record');
});

test('a record is measured in bytes, not in characters', () => {
  const value = { note: 'é'.repeat(RECORD_BYTES_MAX / 2) };
  const outcome = parseOperations([put('global/policies/std', value)]);
  expect(outcome).toMatchObject({ code: 'record', detail: expect.stringContaining('bytes') });
});

test('both records of a tenant make one edit, and absence differs from deletion', () => {
  const edits = parseOperations([...ACME, del('tenants/globex/tenant')]);
  if (edits.kind === 'refused') throw new Error(edits.code);
  expect([...edits.tenants]).toEqual([
    ['acme', { tenant: TENANT, placement: PLACEMENT }],
    ['globex', { tenant: null }],
  ]);
});

test('64-bit numbers may be written as they are held or as they travel', () => {
  const [tenant] = ACME;
  const outcomes = ['1', 1n].map((epoch) =>
    parseOperations([
      ...(tenant === undefined ? [] : [tenant]),
      put('tenants/acme/placement', { home: 'eu1', epoch, state: 'ACTIVE' }),
    ]),
  );
  expect(outcomes[0]).toEqual(outcomes[1]);
});

test('law: operations mean the same in any order, and are left as they are', () => {
  const order = fc.shuffledSubarray([...FIRST], { minLength: FIRST.length });
  fc.assert(
    fc.property(order, (operations) => {
      const given = canonical(operations);
      const edits = parseOperations(operations);
      const first = parseOperations(FIRST);
      if (edits.kind === 'refused' || first.kind === 'refused') throw new Error('refused');
      expect(new Map(edits.tenants)).toEqual(new Map(first.tenants));
      expect(edits.global.toSorted(byPlace)).toEqual(first.global.toSorted(byPlace));
      expect(canonical(operations)).toBe(given);
    }),
    { seed: SEED, numRuns: 50 },
  );
});

function byPlace(
  a: { readonly collection: string; readonly id: string },
  b: { readonly collection: string; readonly id: string },
): number {
  return `${a.collection}/${a.id}` < `${b.collection}/${b.id}` ? -1 : 1;
}

test('law: whatever JSON stands for a record, it is taken or refused, never thrown at', () => {
  const keys = ['global/sites/a', 'global/scopes/a', 'global/policies/a', 'global/latency/a'];
  const key = fc.constantFrom(
    ...keys,
    'global/stores/a',
    'tenants/a/tenant',
    'tenants/a/placement',
  );
  fc.assert(
    fc.property(key, fc.jsonValue(), (name, value) => {
      expect(['edits', 'record']).toContain(codeOf(parseOperations([put(name, value)])));
    }),
    { seed: SEED, numRuns: 300 },
  );
});
