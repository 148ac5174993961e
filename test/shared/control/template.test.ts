// Templates, and what a tenant's record says of the one it was made from (C3).

import { describe, expect, test } from 'vitest';
import { templateSchema, tenantSchema } from '../../../shared/control/record.ts';
import { TEMPLATE_SUFFIXES_MAX } from '../../../shared/limits.ts';
import { del, newTenant, tenantPut } from '../drafts.ts';
import { outcomeOf } from '../forge.ts';
import { put, signCommit } from '../kit.ts';
import { marketplace } from '../provisioning.ts';

const TENANT = { hosts: ['acme.example'], scope: 'eu', policy: 'std', priority: 1 };
const TEMPLATE = {
  scope: 'atlantic',
  policy: 'std',
  priority: 1,
  homes: ['eu1'],
  hostSuffixes: ['tenants.example'],
  customHosts: false,
  wildcards: true,
};

test.each<readonly [string, Record<string, unknown>, boolean]>([
  ['of a template', { template: 'basic' }, true],
  ['that a step made', { template: 'basic', step: 'step-0001' }, true],
  ['with a step and no template', { step: 'step-0001' }, false],
  ['that is suspended', { suspended: true }, true],
  ['that says it is not suspended, which has another form', { suspended: false }, false],
  ['with a step that is no opId', { template: 'basic', step: 'short' }, false],
])('a tenant %s', (_name, fields, taken) => {
  expect(tenantSchema.safeParse({ ...TENANT, ...fields }).success).toBe(taken);
});

const suffixes = (many: number) =>
  Array.from({ length: many }, (_, i) => `s${String(i).padStart(2, '0')}.example`);

test.each<readonly [string, Record<string, unknown>, boolean]>([
  ['of custom hosts alone', { hostSuffixes: [], customHosts: true }, true],
  ['that allows no host', { hostSuffixes: [] }, false],
  ['with a wildcard for a suffix', { hostSuffixes: ['*.tenants.example'] }, false],
  ['with one label for a suffix', { hostSuffixes: ['example'] }, false],
  ['with suffixes out of order', { hostSuffixes: ['b.example', 'a.example'] }, false],
  ['with as many suffixes as may be', { hostSuffixes: suffixes(TEMPLATE_SUFFIXES_MAX) }, true],
  ['with one suffix more', { hostSuffixes: suffixes(TEMPLATE_SUFFIXES_MAX + 1) }, false],
  ['without a home', { homes: [] }, false],
])('a template %s', (_name, fields, taken) => {
  expect(templateSchema.safeParse({ ...TEMPLATE, ...fields }).success).toBe(taken);
});

describe('the state after a commit (C7)', () => {
  const template = (fields: object) => put('global/templates/new', { ...TEMPLATE, ...fields });
  const named = (id: string, template: string, host: string) =>
    newTenant(id, host).map((operation) =>
      operation.op === 'put' && operation.key.endsWith('/tenant')
        ? { ...operation, value: { ...(operation.value as object), template } }
        : operation,
    );
  test.each([
    ['a template', [template({})], 'taken'],
    ['a template of no scope', [template({ scope: 'mars' })], 'reference'],
    ['a template of no policy', [template({ policy: 'lax' })], 'reference'],
    [
      'a template with a home outside its scope',
      [template({ scope: 'eu', homes: ['us1'] })],
      'legal-home',
    ],
    ['a template with a witness for a home', [template({ homes: ['w1'] })], 'legal-home'],
    ['a scope that templates stand on going', [del('global/scopes/atlantic')], 'reference'],
    ['a tenant of a template', named('n', 'basic', 'n.example'), 'taken'],
    ['a tenant of no template', named('n', 'none', 'n.example'), 'reference'],
  ])('%s', async (_name, operations, code) => {
    const held = await marketplace();
    expect(await outcomeOf(held, await signCommit(held, operations))).toBe(code);
  });

  test('a template may go; the tenants made from it stay, and can be changed', async () => {
    const held = await marketplace();
    for (const operations of [
      named('n', 'basic', 'n.example'),
      [del('global/templates/basic')],
      named('n', 'basic', 'm.example').slice(0, 1),
      [tenantPut('n', 'm.example')],
    ]) {
      expect(await outcomeOf(held, await signCommit(held, operations))).toBe('taken');
    }
  });
});
