// The class of a change comes from its effect (C6): what lets a tenant's bytes go where they could
// not go before is `safety`. Every row is an attempt to widen with one operator's signature.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { widens } from '../../../shared/control/change-class.ts';
import type { Operation } from '../../../shared/control/envelope.ts';
import type { Scope } from '../../../shared/control/record.ts';
import { del, drafted, step, worldOf } from '../drafts.ts';
import { outcomeOf, SEED } from '../forge.ts';
import {
  commit,
  FIRST,
  newHolder,
  put,
  region,
  signCommit,
  tenantPuts,
  testTrust,
} from '../kit.ts';

const trust = await testTrust();

type Ingress = 'any' | readonly string[];

function scopeOf(regions: readonly string[], ingress: Ingress = 'any'): Scope {
  const rule = ingress === 'any' ? ingress : { countries: [...ingress] };
  return { regions: [...regions], ingress: rule };
}

const scopePut = (id: string, regions: readonly string[], ingress?: Ingress) =>
  put(`global/scopes/${id}`, scopeOf(regions, ingress));
const acmeIn = (scope: string) =>
  put('tenants/acme/tenant', { hosts: ['acme.example'], scope, policy: 'std', priority: 1 });
const BOTH = ['eu1', 'us1'];

test.each<readonly [string, Scope, Scope, boolean]>([
  ['the same', scopeOf(['eu1']), scopeOf(['eu1']), false],
  ['a region more', scopeOf(['eu1']), scopeOf(BOTH), true],
  ['a region less', scopeOf(BOTH), scopeOf(['us1']), false],
  ['another region', scopeOf(['eu1']), scopeOf(['us1']), true],
  ['one for another', scopeOf(BOTH), scopeOf(['us1', 'w1']), true],
  ['countries after any', scopeOf(['eu1']), scopeOf(['eu1'], ['DE']), false],
  ['any after countries', scopeOf(['eu1'], ['DE']), scopeOf(['eu1']), true],
  ['a country more', scopeOf(['eu1'], ['DE']), scopeOf(['eu1'], ['DE', 'FR']), true],
  ['a country less', scopeOf(['eu1'], ['DE', 'FR']), scopeOf(['eu1'], ['FR']), false],
  ['another country', scopeOf(['eu1'], ['DE']), scopeOf(['eu1'], ['FR']), true],
  ['fewer regions, a country more', scopeOf(BOTH, ['DE']), scopeOf(['eu1'], ['DE', 'US']), true],
])('%s: widens %s', (_name, from, to, wider) => {
  expect(widens(from, to)).toBe(wider);
});

test('law: a scope widens another when it allows a region or a country more', () => {
  const names = fc.subarray(['a', 'b', 'c'], { minLength: 1 });
  const countries = fc.subarray(['DE', 'FR', 'US'], { minLength: 1 });
  const scope = fc.tuple(names, fc.oneof(fc.constant('any' as const), countries));
  const allows = ([regions, ingress]: readonly [readonly string[], Ingress]) =>
    ['a', 'b', 'c'].flatMap((one) =>
      ['DE', 'FR', 'US', 'AQ']
        .filter((country) => {
          return regions.includes(one) && (ingress === 'any' || ingress.includes(country));
        })
        .map((country) => `${one} ${country}`),
    );
  fc.assert(
    fc.property(scope, scope, (from, to) => {
      const had = new Set(allows(from));
      const wider = allows(to).some((pair) => !had.has(pair));
      expect(widens(scopeOf(...from), scopeOf(...to))).toBe(wider);
    }),
    { seed: SEED, numRuns: 300 },
  );
});

type Evasion = readonly [string, readonly (readonly Operation[])[], readonly Operation[]];

// What comes before is legal with one signature; the last commit is where the bytes go.
const EVASIONS: readonly Evasion[] = [
  ['widening a scope that has tenants', [], [scopePut('eu', BOTH)]],
  ['moving a tenant to a wider scope', [], [acmeIn('atlantic')]],
  [
    'widening an empty scope, then moving in',
    [[scopePut('new', ['eu1'])], [scopePut('new', BOTH)]],
    [acmeIn('new')],
  ],
  [
    'moving in and widening at once',
    [[scopePut('new', ['eu1'])]],
    [scopePut('new', BOTH), acmeIn('new')],
  ],
  ['making a wide scope and moving in at once', [], [scopePut('new', BOTH), acmeIn('new')]],
  [
    'moving in, then widening',
    [[scopePut('new', ['eu1'])], [acmeIn('new')]],
    [scopePut('new', BOTH)],
  ],
  [
    'widening the scope that a tenant leaves for it',
    [[scopePut('new', ['eu1'])]],
    [acmeIn('new'), scopePut('eu', BOTH), scopePut('new', BOTH)],
  ],
  [
    'exchanging the scope for a wider one of its name',
    [[scopePut('new', ['eu1']), acmeIn('new'), del('global/scopes/eu')], [scopePut('eu', BOTH)]],
    [acmeIn('eu')],
  ],
  [
    'retiring a tenant and bringing it back in a wider scope',
    [[del('tenants/acme/tenant')]],
    [
      acmeIn('atlantic'),
      put('tenants/acme/placement', { home: 'us1', epoch: 2n, state: 'ACTIVE' }),
    ],
  ],
  [
    'retiring a tenant and bringing it back at another home',
    [[del('tenants/globex/tenant')]],
    tenantPuts('globex', { hosts: ['globex.example'], scope: 'atlantic', home: 'us1' }).map(
      (one) =>
        one.key.endsWith('placement')
          ? put(one.key, { home: 'eu1', epoch: 65n, state: 'ACTIVE' })
          : one,
    ),
  ],
  [
    'letting in a country more',
    [[scopePut('eu', ['eu1'], ['DE'])]],
    [scopePut('eu', ['eu1'], ['DE', 'FR'])],
  ],
  ['letting in every country', [[scopePut('eu', ['eu1'], ['DE'])]], [scopePut('eu', ['eu1'])]],
  [
    'moving to a scope that lets in more',
    [[scopePut('eu', ['eu1'], ['DE']), scopePut('lax', ['eu1'])]],
    [acmeIn('lax')],
  ],
  [
    'narrowing the regions, letting in a country',
    [[scopePut('atlantic', BOTH, ['US'])]],
    [scopePut('atlantic', ['us1'], ['CA', 'US'])],
  ],
  [
    'hiding it among harmless changes',
    [],
    [put('global/latency/fra', { eu1: 9 }), acmeIn('atlantic'), scopePut('new', ['eu1'])],
  ],
];

test.each(EVASIONS)('%s is of class safety', (_name, before, last) => {
  const held = worldOf(FIRST, ...before);
  const outcome = drafted(held, last);
  expect(outcome).toMatchObject({ kind: 'accepted', folded: { class: 'safety' } });
  for (const operations of before) {
    const harmless = worldOf(FIRST);
    for (const earlier of before.slice(0, before.indexOf(operations))) step(harmless, earlier);
    expect(step(harmless, operations).folded.class).toBe('normal');
  }
});

test.each(EVASIONS)('%s is refused under either name', async (_name, before, last) => {
  const held = newHolder(trust);
  for (const operations of [FIRST, ...before]) await commit(held, operations);
  expect(await outcomeOf(held, await signCommit(held, last))).toBe('class');
  // Safety needs the threshold of approvers, which nobody can give yet: doubt denies (I15).
  expect(await outcomeOf(held, await signCommit(held, last, { class: 'safety' }))).toBe('safety');
});

test.each<readonly [string, readonly Operation[]]>([
  ['a new scope', [scopePut('new', BOTH)]],
  ['a new tenant', tenantPuts('x', { hosts: ['x.example'], scope: 'atlantic', home: 'us1' })],
  ['a narrower scope', [scopePut('atlantic', ['us1'])]],
  ['fewer countries', [scopePut('eu', ['eu1'], ['DE'])]],
  ['another host', [acmeIn('eu')]],
  ['a tenant retired', [del('tenants/acme/tenant')]],
  ['another region', [put('global/sites/w1', region(3, [48.2, 16.37], 'https://gw.w1.example'))]],
])('%s is of class normal', (_name, operations) => {
  expect(drafted(worldOf(FIRST), operations)).toMatchObject({ folded: { class: 'normal' } });
});

test('the envelope may raise the class, never lower it', async () => {
  const held = newHolder(trust);
  await commit(held, FIRST);
  const harmless = [scopePut('new', ['eu1'])];
  expect(await outcomeOf(held, await signCommit(held, harmless, { class: 'safety' }))).toBe(
    'safety',
  );
});
