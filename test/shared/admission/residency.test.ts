// Residency (I14, S3): every combination there is, and that doubt denies (I15).

import { expect, test } from 'vitest';
import type { OperationClass } from '../../../shared/admission/operation.ts';
import { ingressFault, residencyFault } from '../../../shared/admission/residency.ts';
import type { Placement, Policy, Scope } from '../../../shared/control/record.ts';

type State = Placement['state'];

function fault(
  region: string,
  op: OperationClass,
  { replicaReads = true, home = 'eu1', state = 'ACTIVE' as State } = {},
) {
  const scope: Scope = { regions: ['eu1', 'eu2'], ingress: 'any' };
  const policy: Policy = {
    replicaReads,
    mode: 'enforce',
    hardAgeS: { write: 60, read: 300, revocation: 60 },
    slowStartS: 0,
    sessionPaths: [],
  };
  return residencyFault(region, op, { scope, policy, placement: { home, epoch: 1n, state } });
}

const MOVING: readonly State[] = ['DRAINING', 'FENCED', 'PROMOTING'];

test.each([
  ['eu1', 'read', true, null],
  ['eu1', 'read', false, null],
  ['eu1', 'write', true, null],
  ['eu1', 'write', false, null],
  ['eu1', 'session', true, null],
  ['eu2', 'read', true, null],
  ['eu2', 'read', false, 'no-replica-reads'],
  ['eu2', 'write', true, 'not-home'],
  ['eu2', 'write', false, 'not-home'],
  ['eu2', 'session', true, 'not-home'],
  ['us1', 'read', true, 'outside-scope'],
  ['us1', 'write', true, 'outside-scope'],
  ['us1', 'session', true, 'outside-scope'],
  ['w1', 'read', true, 'outside-scope'],
  ['', 'read', true, 'outside-scope'],
] as const)(
  'home eu1, scope eu1 and eu2: %s for a %s, replica reads %s: %s',
  (region, op, reads, code) => {
    expect(fault(region, op, { replicaReads: reads })).toBe(code);
  },
);

test.each(MOVING)('while the home is %s it takes reads, and no write and no session', (state) => {
  expect(fault('eu1', 'read', { state })).toBe(null);
  expect(fault('eu2', 'read', { state })).toBe(null);
  expect(fault('eu1', 'write', { state })).toBe('home-not-active');
  expect(fault('eu1', 'session', { state })).toBe('home-not-active');
  expect(fault('eu2', 'write', { state })).toBe('not-home');
});

test('a home outside the scope serves nothing (I9)', () => {
  for (const op of ['read', 'write', 'session'] as const) {
    expect(fault('us1', op, { home: 'us1' })).toBe('outside-scope');
  }
});

test.each<readonly [Scope['ingress'], string | undefined, string | null]>([
  ['any', 'DE', null],
  ['any', undefined, null],
  [{ countries: ['DE', 'FR'] }, 'DE', null],
  [{ countries: ['DE', 'FR'] }, 'US', 'ingress-country'],
  [{ countries: ['DE'] }, 'de', 'ingress-country'],
  [{ countries: ['DE'] }, '', 'ingress-country'],
  [{ countries: ['DE'] }, 'T1', 'ingress-country'],
  [{ countries: ['DE'] }, 'XX', 'ingress-country'],
  [{ countries: ['DE'] }, undefined, 'country-unknown'],
])('ingress %j, from %s: %s', (ingress, country, code) => {
  expect(ingressFault({ regions: ['eu1'], ingress }, country)).toBe(code);
});
