// Counts of tenants on each global record: what a change of a scope is judged by (C7), so a wrong
// count would delete a scope under its tenants, or keep it for ever.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonical } from '../../../shared/canonical.ts';
import { EMPTY_GLOBAL, type Global, type TenantEntry } from '../../../shared/control/record.ts';
import {
  EMPTY_USAGE,
  homesOf,
  recount,
  type Usage,
  usageSchema,
  withSlots,
} from '../../../shared/control/usage.ts';
import { SEED } from '../forge.ts';

function entry(scope: string, home: string, policy = 'std'): TenantEntry {
  return {
    tenant: { hosts: ['a.example'], scope, policy, priority: 1 },
    placement: { home, epoch: 1n, state: 'ACTIVE' },
  };
}

function retired(home: string): TenantEntry {
  return { placement: { home, epoch: 1n, state: 'ACTIVE' } };
}

test('tenants are counted by scope and home, and by policy', () => {
  const edits = [entry('eu', 'eu1'), entry('eu', 'eu1'), entry('eu', 'eu2', 'lax')];
  const usage = recount(
    EMPTY_USAGE,
    edits.map((after) => ({ before: null, after })),
  );
  expect(usage).toEqual({
    scopes: { eu: { eu1: 2, eu2: 1 } },
    policies: { std: 2, lax: 1 },
    slots: {},
  });
  expect(homesOf(usage, 'eu')).toEqual({ eu1: 2, eu2: 1 });
  expect(homesOf(usage, 'us')).toEqual({});
});

test('a count of nothing is not kept, so that equal usage has one digest', () => {
  const one = recount(EMPTY_USAGE, [{ before: null, after: entry('eu', 'eu1') }]);
  const none = recount(one, [{ before: entry('eu', 'eu1'), after: retired('eu1') }]);
  expect(canonical(none)).toBe(canonical(EMPTY_USAGE));
});

test('a retired tenant counts nowhere', () => {
  const edits = [
    { before: null, after: retired('eu1') },
    { before: retired('eu1'), after: retired('eu1') },
  ];
  expect(recount(EMPTY_USAGE, edits)).toEqual(EMPTY_USAGE);
});

const entries = fc.oneof(
  fc.constantFrom('eu1', 'us1').map(retired),
  fc
    .tuple(fc.constantFrom('eu', 'us'), fc.constantFrom('eu1', 'us1'), fc.constantFrom('p', 'q'))
    .map(([scope, home, policy]) => entry(scope, home, policy)),
);

test('law: counts after any edits are those of the tenants that are left', () => {
  const rounds = fc.array(fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), entries));
  fc.assert(
    fc.property(rounds, (edited) => {
      const held = new Map<string, TenantEntry>();
      let usage: Usage = EMPTY_USAGE;
      for (const round of edited) {
        const given = canonical(usage);
        const edits = Object.entries(round).map(([id, after]) => ({
          before: held.get(id) ?? null,
          after,
        }));
        const next = recount(usage, edits);
        expect(canonical(usage)).toBe(given);
        usage = next;
        for (const [id, after] of Object.entries(round)) held.set(id, after);
      }
      expect(usage).toEqual(counted([...held.values()]));
      expect(usageSchema.safeParse(JSON.parse(canonical(usage))).success).toBe(true);
    }),
    { seed: SEED, numRuns: 200 },
  );
});

function counted(all: readonly TenantEntry[]): unknown {
  const scopes: Record<string, Record<string, number>> = {};
  const policies: Record<string, number> = {};
  for (const { tenant, placement } of all) {
    if (tenant === undefined) continue;
    const homes = scopes[tenant.scope] ?? {};
    homes[placement.home] = (homes[placement.home] ?? 0) + 1;
    scopes[tenant.scope] = homes;
    policies[tenant.policy] = (policies[tenant.policy] ?? 0) + 1;
  }
  return { scopes, policies, slots: {} };
}

function globalOf(slots: Readonly<Record<string, number | null>>): Global {
  const sites = Object.entries(slots).map(([id, slot]) => {
    if (slot === null) return [id, { region: false }] as const;
    const gateway = `https://gw.${id}.example`;
    const at: [number, number] = [0, 0];
    return [id, { region: true, slot, at, gateway, capacity: 1, zones: ['a'] }] as const;
  });
  return { ...EMPTY_GLOBAL, sites: Object.fromEntries(sites) };
}

test('a slot stays with the site that had it first, whatever becomes of the site (F1)', () => {
  const steps = [{ eu1: 1, us1: 2 }, { eu1: 1, us1: null }, {}, { ap1: 2, us1: 3 }];
  const slots: unknown[] = [];
  let usage: Usage = EMPTY_USAGE;
  for (const step of steps) {
    usage = withSlots(usage, globalOf(step));
    slots.push(usage.slots);
  }
  expect(slots.slice(0, 3)).toEqual(Array.from({ length: 3 }, () => ({ 1: 'eu1', 2: 'us1' })));
  expect(slots[3]).toEqual({ 1: 'eu1', 2: 'us1', 3: 'us1' });
});

test.each([
  { scopes: { eu: { eu1: 0 } }, policies: {}, slots: {} },
  { scopes: { eu: { eu1: -1 } }, policies: {}, slots: {} },
  { scopes: {}, policies: { std: 0.5 }, slots: {} },
  { scopes: {}, policies: {}, slots: { 0: 'eu1' } },
  { scopes: {}, policies: {}, slots: { 1: 1 } },
  { scopes: {}, policies: {}, slots: {}, later: {} },
  { scopes: {}, slots: {} },
])('usage %j is refused', (usage) => {
  expect(usageSchema.safeParse(usage).success).toBe(false);
});
