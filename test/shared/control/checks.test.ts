// Is the state after a change one that consumers can run (C7, F1)? Each row is a commit on top of
// the kit's first one: acme in scope eu at eu1, globex in scope atlantic at us1.

import { expect, test } from 'vitest';
import type { Operation } from '../../../shared/control/envelope.ts';
import { del, drafted, newTenant, step, tenantPut, worldOf } from '../drafts.ts';
import { codeOf } from '../forge.ts';
import { FIRST, put, region, tenantPuts } from '../kit.ts';

const EU1 = (slot: number) => region(slot, [50.11, 8.68], 'https://gw.eu1.example');
const US1 = (slot: number) => region(slot, [39.04, -77.49], 'https://gw.us1.example');
const W1 = (slot: number) => region(slot, [48.2, 16.37], 'https://gw.w1.example');
const scopePut = (id: string, ...regions: readonly string[]) =>
  put(`global/scopes/${id}`, { regions, ingress: 'any' });
const placementPut = (id: string, home: string, epoch: bigint, state = 'ACTIVE') =>
  put(`tenants/${id}/placement`, { home, epoch, state });
const tenantOf = (id: string, scope: string, policy: string) =>
  put(`tenants/${id}/tenant`, { hosts: [`${id}.example`], scope, policy, priority: 1 });

type Row = readonly [string, readonly Operation[], string];

const SITES: readonly Row[] = [
  // Attack: a site that trust does not name has no agents, so nobody could ever call it down.
  ['a site that trust does not name', [put('global/sites/ap1', EU1(3))], 'site'],
  ['a witness that trust does not name', [put('global/sites/w2', { region: false })], 'site'],
  ['a witness becomes a region', [put('global/sites/w1', W1(3))], 'accepted'],
  ['two regions with one slot', [put('global/sites/w1', W1(1))], 'placement'],
  [
    'two new regions with one slot',
    [put('global/sites/eu1', EU1(2)), put('global/sites/us1', US1(2))],
    'placement',
  ],
  ['a region changes its slot', [put('global/sites/us1', US1(3))], 'placement'],
  [
    'two regions swap their slots',
    [put('global/sites/eu1', EU1(2)), put('global/sites/us1', US1(1))],
    'placement',
  ],
  ['a region changes all but its slot', [put('global/sites/us1', W1(2))], 'accepted'],
  [
    'a region of a scope becomes a witness',
    [put('global/sites/us1', { region: false })],
    'reference',
  ],
  ['a region of a scope is deleted', [del('global/sites/us1')], 'reference'],
  ['a witness is deleted', [del('global/sites/w1')], 'accepted'],
];

test.each(SITES)('%s: %s', (_name, operations, codes) => {
  expect(codes.split(' ')).toContain(codeOf(drafted(worldOf(FIRST), operations)));
});

test('a region that no scope and no tenant names may go', () => {
  const held = worldOf(FIRST, [del('tenants/globex/tenant'), scopePut('atlantic', 'eu1')]);
  expect(codeOf(drafted(held, [del('global/sites/us1')]))).toBe('accepted');
});

// Epochs that it minted still stand in fence rows and outboxes (F1: slots are never reused).
test.each<readonly [string, readonly Operation[]]>([
  ['deleted', [del('global/sites/us1')]],
  ['made a witness', [put('global/sites/us1', { region: false })]],
])('the slot of a region that was %s is not given to another', (_name, gone) => {
  const emptied = [del('tenants/globex/tenant'), scopePut('atlantic', 'eu1')];
  const held = worldOf(FIRST, emptied, gone);
  expect(codeOf(drafted(held, [put('global/sites/w1', W1(2))]))).not.toBe('accepted');
});

test('a region that was deleted does not come back with another slot', () => {
  const emptied = [del('tenants/globex/tenant'), scopePut('atlantic', 'eu1')];
  const held = worldOf(FIRST, emptied, [del('global/sites/us1')]);
  expect(codeOf(drafted(held, [put('global/sites/us1', US1(3))]))).not.toBe('accepted');
});

const REFERENCES: readonly Row[] = [
  ['a scope names a witness', [scopePut('new', 'w1')], 'reference'],
  ['a scope names nothing that is there', [scopePut('new', 'mars')], 'reference'],
  [
    'a scope names a region of the same commit',
    [put('global/sites/w1', W1(3)), scopePut('new', 'w1')],
    'accepted',
  ],
  ['a latency row names a witness', [put('global/latency/fra', { eu1: 9, w1: 12 })], 'reference'],
  ['a latency row names a region', [put('global/latency/fra', { eu1: 9, us1: 90 })], 'accepted'],
  ['a scope with tenants is deleted', [del('global/scopes/eu')], 'reference'],
  ['a policy with tenants is deleted', [del('global/policies/std')], 'reference'],
  [
    'a scope is deleted with its last tenant',
    [del('global/scopes/eu'), del('tenants/acme/tenant')],
    'accepted',
  ],
  [
    'a scope is deleted as a tenant comes into it',
    [del('global/scopes/eu'), del('tenants/acme/tenant'), ...newTenant('x', 'x.example')].map(
      (one) => (one.key === 'tenants/x/tenant' ? tenantOf('x', 'eu', 'std') : one),
    ),
    'reference',
  ],
  ['a tenant names no scope that is there', [tenantOf('acme', 'mars', 'std')], 'reference'],
  ['a tenant names no policy that is there', [tenantOf('acme', 'eu', 'lax')], 'reference'],
];

test.each(REFERENCES)('%s: %s', (_name, operations, code) => {
  expect(codeOf(drafted(worldOf(FIRST), operations))).toBe(code);
});

const HOMES: readonly Row[] = [
  // Every tenant keeps a legal home (C7).
  ['a scope is narrowed past a tenant’s home', [scopePut('atlantic', 'eu1')], 'legal-home'],
  ['a scope is narrowed beside the homes', [scopePut('atlantic', 'us1')], 'accepted'],
  [
    'a scope is narrowed as its tenant leaves',
    [scopePut('atlantic', 'eu1'), del('tenants/globex/tenant')],
    'accepted',
  ],
  ['a tenant moves to a scope without its home', [tenantOf('globex', 'eu', 'std')], 'legal-home'],
  [
    'a tenant appears outside its scope',
    tenantPuts('x', { hosts: ['x.example'], scope: 'eu', home: 'us1' }),
    'legal-home',
  ],
  [
    'a tenant appears at a witness',
    [tenantPut('x', 'x.example'), placementPut('x', 'w1', 3n)],
    'legal-home reference',
  ],
  [
    'a tenant appears nowhere',
    [tenantPut('x', 'x.example'), placementPut('x', 'mars', 1n)],
    'legal-home reference',
  ],
];

test.each(HOMES)('%s: %s', (_name, operations, codes) => {
  expect(codes.split(' ')).toContain(codeOf(drafted(worldOf(FIRST), operations)));
});

// A home moves by the fenced steps alone (F1, F5): a commit that just says so has two writers.
const PLACEMENTS: readonly Row[] = [
  ['a tenant appears without placement', [tenantPut('x', 'x.example')], 'placement'],
  ['a tenant appears and is placed', newTenant('x', 'x.example'), 'accepted'],
  ['a placement without a tenant', [placementPut('x', 'us1', 2n)], 'tenant-home'],
  ['a home is moved', [placementPut('globex', 'eu1', 65n)], 'tenant-home'],
  ['a home is put as it is', [placementPut('globex', 'us1', 2n)], 'tenant-home'],
  ['an epoch is raised in place', [placementPut('globex', 'us1', 66n)], 'tenant-home'],
  ['a state is changed', [placementPut('globex', 'us1', 2n, 'DRAINING')], 'tenant-home'],
  [
    'a tenant is changed and placed',
    [tenantPut('globex', 'globex.org'), placementPut('globex', 'eu1', 65n)],
    'tenant-home',
  ],
  [
    'a tenant is retired and placed',
    [del('tenants/globex/tenant'), placementPut('globex', 'us1', 66n)],
    'tenant-home',
  ],
  [
    'a tenant starts draining',
    [tenantPut('x', 'x.example'), placementPut('x', 'us1', 2n, 'DRAINING')],
    'placement',
  ],
  ...[0n, 1n, 3n, 66n, 130n].map(
    (epoch): Row => [
      `a tenant starts at epoch ${epoch} of slot 2`,
      [tenantPut('x', 'x.example'), placementPut('x', 'us1', epoch)],
      'placement',
    ],
  ),
];

test.each(PLACEMENTS)('%s: %s', (_name, operations, code) => {
  expect(codeOf(drafted(worldOf(FIRST), operations))).toBe(code);
});

test.each([
  ['us1', 2n, 'placement'],
  ['us1', 66n, 'accepted'],
  ['us1', 130n, 'placement'],
  ['eu1', 1n, 'placement'],
  ['eu1', 65n, 'accepted'],
  ['eu1', 66n, 'placement'],
])('a tenant that comes back at %s with epoch %s: %s (I2)', (home, epoch, code) => {
  const held = worldOf(FIRST, [del('tenants/globex/tenant')]);
  const back = [tenantPut('globex', 'globex.example'), placementPut('globex', home, epoch)];
  expect(codeOf(drafted(held, back))).toBe(code);
});

test('a tenant that is retired has no claim on its scope, its policy or its region', () => {
  const held = worldOf(FIRST, [del('tenants/acme/tenant'), del('tenants/globex/tenant')]);
  const emptied = ['global/scopes/eu', 'global/scopes/atlantic', 'global/policies/std'].map(del);
  step(held, emptied);
  expect(codeOf(drafted(held, [del('global/sites/us1'), del('global/sites/eu1')]))).toBe(
    'accepted',
  );
});
