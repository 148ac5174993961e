// The decision (S2-S5, S10): a literal table of what happens to a request, and laws over random
// scenes.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonical } from '../../../shared/canonical.ts';
import { globalSchema } from '../../../shared/control/record.ts';
import type { Verdict } from '../../../shared/health/verdict.ts';
import { type Decision, decide, hardAgeMs } from '../../../shared/steering/decide.ts';
import type { Scene } from '../../../shared/steering/scene.ts';
import { SEED } from '../forge.ts';
import {
  admissible,
  BASIS,
  type Case,
  DUBLIN,
  FRANKFURT,
  factsOf,
  GLOBAL,
  IDS,
  NEW_YORK,
  POLICY,
  sceneOf,
  scenes,
} from '../scenes.ts';

const made = (given: Case): Decision => decide(factsOf(given), sceneOf(given));

/** The region, or the code of the refusal. */
function answer({ outcome }: Decision): string {
  return outcome.kind === 'forward' ? outcome.region : outcome.code;
}

test('the scene of the table is one that control state allows', () => {
  expect(globalSchema.parse(JSON.parse(canonical(GLOBAL)))).toEqual(GLOBAL);
});

/** Behind, under a policy that asks for 15 s. */
const SWIFT = { behind: true, policy: 'swift' } as const;

test.each<readonly [string, Case, string]>([
  ['a read goes to the nearest region of the scope', { from: DUBLIN }, 'eu2'],
  ['a read near its home stays there', { from: FRANKFURT }, 'eu1'],
  ['a read from afar stays in the scope (I9)', { from: NEW_YORK }, 'eu2'],
  ['a read from afar goes there when the scope allows it', { from: NEW_YORK, scope: 'all' }, 'us1'],
  ['a read goes home where replicas may not serve', { from: DUBLIN, policy: 'home' }, 'eu1'],
  ['a write goes home', { op: 'write', from: DUBLIN }, 'eu1'],
  ['a write goes home, across the ocean', { op: 'write', from: NEW_YORK, scope: 'all' }, 'eu1'],
  ['a session goes home', { op: 'session', from: DUBLIN }, 'eu1'],
  ['an upgrade goes home', { op: 'upgrade', from: DUBLIN }, 'eu1'],
  ['a read passes a region that is down', { from: DUBLIN, verdicts: { eu2: 'down' } }, 'eu1'],
  [
    'a read passes its home when that is down',
    { from: FRANKFURT, verdicts: { eu1: 'down' } },
    'eu2',
  ],
  ['a degraded region serves', { from: DUBLIN, verdicts: { eu2: 'degraded' } }, 'eu2'],
  // H4: unknown moves nothing. A home keeps its traffic, a replica gets none.
  ['a read passes a replica in doubt', { from: DUBLIN, verdicts: { eu2: 'unknown' } }, 'eu1'],
  ['a read stays with a home in doubt', { from: FRANKFURT, verdicts: { eu1: 'unknown' } }, 'eu1'],
  ['a write goes to a home in doubt', { op: 'write', verdicts: { eu1: 'unknown' } }, 'eu1'],
  ['a write goes to a degraded home', { op: 'write', verdicts: { eu1: 'degraded' } }, 'eu1'],
  // S5: what is not able gets nothing, and nothing able is a refusal.
  ['a write to a home that is down', { op: 'write', verdicts: { eu1: 'down' } }, 'no-able-region'],
  [
    'a session to a home that is down',
    { op: 'session', verdicts: { eu1: 'down' } },
    'no-able-region',
  ],
  [
    'a read with all of the scope down',
    { verdicts: { eu1: 'down', eu2: 'down' } },
    'no-able-region',
  ],
  [
    'a read with the home down, the replica in doubt',
    { verdicts: { eu1: 'down', eu2: 'unknown' } },
    'no-able-region',
  ],
  [
    'a read with the home down where replicas may not serve',
    { policy: 'home', verdicts: { eu1: 'down' } },
    'no-able-region',
  ],
  [
    'a read with its one region down, others up',
    { scope: 'one', verdicts: { eu1: 'down' } },
    'no-able-region',
  ],
  // S3: a home that moves takes no write.
  ['a write while the home drains', { op: 'write', state: 'DRAINING' }, 'home-not-active'],
  ['a write while the home is fenced', { op: 'write', state: 'FENCED' }, 'home-not-active'],
  [
    'a session while the home is promoting',
    { op: 'session', state: 'PROMOTING' },
    'home-not-active',
  ],
  [
    'a write while a home that is down moves',
    { op: 'write', state: 'FENCED', verdicts: { eu1: 'down' } },
    'home-not-active',
  ],
  ['a read while the home drains', { state: 'DRAINING', from: FRANKFURT }, 'eu1'],
  // I15: doubt denies.
  ['a tenant of a scope that is not there', { scope: 'mars' }, 'policy-missing'],
  ['a tenant of a policy that is not there', { policy: 'mars' }, 'policy-missing'],
  ['a country that the scope lets in', { scope: 'de', country: 'DE', from: FRANKFURT }, 'eu1'],
  ['a country that it does not', { scope: 'de', country: 'US' }, 'ingress-country'],
  ['a country that nobody named', { scope: 'de' }, 'country-unknown'],
  [
    'a client whose place is unknown, when one region is able',
    { verdicts: { eu2: 'down' } },
    'eu1',
  ],
  // E3, just under and just over.
  ['a read at 300 s', { ageMs: 300_000, from: DUBLIN }, 'eu2'],
  ['a read past 300 s', { ageMs: 300_001 }, 'state-expired'],
  ['a write at 60 s', { op: 'write', ageMs: 60_000 }, 'eu1'],
  ['a write past 60 s', { op: 'write', ageMs: 60_001 }, 'state-expired'],
  ['a session past 60 s', { op: 'session', ageMs: 60_001 }, 'state-expired'],
  ['an upgrade past 60 s', { op: 'upgrade', ageMs: 60_001 }, 'state-expired'],
  // E3, revocation: what a holder lacks may be that the tenant was suspended.
  [
    'a read at 60 s of a holder that is behind',
    { behind: true, ageMs: 60_000, from: DUBLIN },
    'eu2',
  ],
  ['a read past 60 s of a holder that is behind', { behind: true, ageMs: 60_001 }, 'state-expired'],
  ['a read at 15 s, behind, where policy asks', { ...SWIFT, ageMs: 15_000, from: DUBLIN }, 'eu2'],
  ['a read past 15 s, behind, where policy asks', { ...SWIFT, ageMs: 15_001 }, 'state-expired'],
  ['a read past 15 s in silence', { policy: 'swift', ageMs: 300_000, from: DUBLIN }, 'eu2'],
  ['a write at 15 s where policy asks', { policy: 'swift', op: 'write', ageMs: 15_000 }, 'eu1'],
  [
    'a write past 15 s where policy asks',
    { policy: 'swift', op: 'write', ageMs: 15_001 },
    'state-expired',
  ],
  ['a suspended tenant', { suspended: true }, 'tenant-suspended'],
  ['a suspended tenant of no scope', { suspended: true, scope: 'mars' }, 'tenant-suspended'],
  ['a suspended tenant from afar', { suspended: true, scope: 'de' }, 'tenant-suspended'],
  ['a suspended tenant at 60 s', { suspended: true, ageMs: 60_000 }, 'tenant-suspended'],
  ['a suspended tenant past 60 s', { suspended: true, ageMs: 60_001 }, 'state-expired'],
  ['a state from the future', { op: 'write', ageMs: -5_000 }, 'eu1'],
  // S4: the table is stronger than the map.
  [
    'a read by the latency table',
    { from: DUBLIN, colo: 'dub', latency: { dub: { eu1: 5, eu2: 40, us1: 80 } } },
    'eu1',
  ],
  [
    'a read by the map where the table has no row',
    { from: DUBLIN, colo: 'xxx', latency: { dub: { eu1: 5, eu2: 40, us1: 80 } } },
    'eu2',
  ],
  ['a colo that every object has', { from: DUBLIN, colo: 'constructor' }, 'eu2'],
])('%s: %s', (_name, given, expected) => {
  expect(answer(made(given))).toBe(expected);
});

test('an unknown tenant is refused, and told nothing (S1)', () => {
  const decision = decide(factsOf({}), { ...sceneOf({}), tenant: { kind: 'unknown' } });
  expect(decision).toEqual({
    outcome: { kind: 'refuse', code: 'tenant-unknown' },
    admission: null,
    candidates: [],
    basis: BASIS,
  });
});

test('a home that is no region of the scope takes no write, and the read stays inside (I9)', () => {
  expect(answer(made({ op: 'write', home: 'us1' }))).toBe('no-able-region');
  expect(answer(made({ home: 'us1', from: NEW_YORK }))).toBe('eu2');
});

test('every region says why it lost (S10)', () => {
  const { candidates, admission, outcome, basis } = made({
    op: 'read',
    scope: 'eu',
    from: DUBLIN,
    verdicts: { eu2: 'down' },
  });
  expect(candidates.map(({ region, verdict, lot }) => [region, verdict, lot])).toEqual([
    ['eu1', 'up', { kind: 'chosen', level: 1, sharePercent: 100 }],
    ['eu2', 'down', { kind: 'not-able' }],
    ['us1', 'up', { kind: 'residency', fault: 'outside-scope' }],
  ]);
  expect(admission).toEqual({ tenant: 'acme', scope: 'eu', op: 'read', epoch: 1n });
  expect(outcome).toEqual({ kind: 'forward', region: 'eu1', gateway: 'https://gw.eu1.example' });
  expect(basis).toBe(BASIS);
});

test('the region that lost by distance says so', () => {
  const lots = made({ from: DUBLIN }).candidates.map(({ lot }) => lot);
  expect(lots.slice(0, 2)).toEqual([
    { kind: 'ranked', level: 1, sharePercent: 0 },
    { kind: 'chosen', level: 0, sharePercent: 100 },
  ]);
});

test('a witness is no candidate', () => {
  expect(made({}).candidates.map(({ region }) => region)).toEqual(['eu1', 'eu2', 'us1']);
});

test('a session is a write here: one age for both', () => {
  expect([
    hardAgeMs('write', POLICY, false),
    hardAgeMs('session', POLICY, false),
    hardAgeMs('read', POLICY, false),
  ]).toEqual([60_000, 60_000, 300_000]);
});

test('law: a request goes where it may and can, or nowhere', () => {
  fc.assert(
    fc.property(scenes, (given) => {
      const { scene, op, scope, facts, home, state } = given;
      const decision = decide(facts, scene);
      const old = scene.ageMs > (op === 'read' ? 300_000 : 60_000);
      const shut =
        scope.ingress !== 'any' && !scope.ingress.countries.includes(facts.country ?? '');
      const able = admissible(given);
      const there = scope.regions.includes(home) && Object.hasOwn(scene.global.sites, home);
      const moving = op !== 'read' && state !== 'ACTIVE' && there;
      const refusals = [
        [old, 'state-expired'],
        [shut, facts.country === undefined ? 'country-unknown' : 'ingress-country'],
        [able.length === 0, moving ? 'home-not-active' : 'no-able-region'],
      ] as const;
      const refusal = refusals.find(([holds]) => holds);
      expect(refusal === undefined ? able : [refusal[1]]).toContain(answer(decision));
    }),
    { seed: SEED, numRuns: 2_000 },
  );
});

test('law: every region is a candidate once, and the one forwarded to is chosen', () => {
  fc.assert(
    fc.property(scenes, ({ facts, scene }) => {
      const { outcome, candidates } = decide(facts, scene);
      const chosen = candidates
        .filter(({ lot }) => lot.kind === 'chosen')
        .map(({ region }) => region);
      expect(chosen).toEqual(outcome.kind === 'forward' ? [outcome.region] : []);
      if (outcome.kind === 'refuse' && candidates.length === 0) return;
      const regions = Object.keys(scene.global.sites).filter((id) => id !== 'w1');
      expect(candidates.map(({ region }) => region)).toEqual(regions.toSorted());
      if (outcome.kind === 'refuse') return;
      const site = scene.global.sites[outcome.region];
      expect(site).toMatchObject({ region: true, gateway: outcome.gateway });
    }),
    { seed: SEED, numRuns: 1_000 },
  );
});

test('law: every lot is true', () => {
  fc.assert(
    fc.property(scenes, (given) => {
      const { scene, scope, home, op } = given;
      const able = admissible(given);
      for (const { region, lot, verdict } of decide(given.facts, scene).candidates) {
        expect(verdict).toBe(scene.verdicts[region] ?? 'unknown');
        expect(able.includes(region)).toBe(lot.kind === 'chosen' || lot.kind === 'ranked');
        if (lot.kind !== 'residency') continue;
        const { fault } = lot;
        expect(fault === 'outside-scope').toBe(!scope.regions.includes(region));
        if (fault === 'not-home') expect([region === home, op === 'read']).toEqual([false, false]);
        if (fault === 'no-replica-reads') expect([op, given.reads]).toEqual(['read', false]);
        if (fault === 'home-not-active') expect(given.state).not.toBe('ACTIVE');
      }
    }),
    { seed: SEED, numRuns: 1_000 },
  );
});

test('law: equal input gives an equal answer, in whatever order records are written', () => {
  fc.assert(
    fc.property(scenes, ({ facts, scene }) => {
      const decision = decide(facts, scene);
      expect(decide(structuredClone(facts), structuredClone(scene))).toEqual(decision);
      const { global, verdicts } = scene;
      const mixed: Scene = {
        ...scene,
        verdicts: reversed(verdicts),
        global: {
          ...global,
          sites: reversed(global.sites),
          latency: Object.fromEntries(
            Object.entries(global.latency).map(([colo, row]) => [colo, reversed(row)]),
          ),
        },
      };
      expect(decide(facts, mixed)).toEqual(decision);
    }),
    { seed: SEED, numRuns: 500 },
  );
});

function reversed<T>(record: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).toReversed());
}

test('law: a decision changes nothing of what it was made from', () => {
  fc.assert(
    fc.property(scenes, ({ facts, scene }) => {
      const before = canonical([facts, scene]);
      decide(frozen(facts), frozen(scene));
      expect(canonical([facts, scene])).toBe(before);
    }),
    { seed: SEED, numRuns: 300 },
  );
});

function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const member of Object.values(value)) frozen(member);
  return Object.freeze(value);
}

test('law: where all that may serve can, the chosen is within 10 ms of the nearest (S4)', () => {
  fc.assert(
    fc.property(scenes, (given) => {
      const verdicts = Object.fromEntries(IDS.map((id) => [id, 'up' as const]));
      const scene = { ...given.scene, verdicts };
      const decision = decide(given.facts, scene);
      if (decision.outcome.kind === 'refuse') return;
      const able = admissible({ ...given, scene });
      const ms = new Map(
        decision.candidates.map(({ region, distance }) => {
          return [region, distance.kind === 'unknown' ? 0 : distance.ms] as const;
        }),
      );
      const nearest = Math.min(...able.map((id) => ms.get(id) ?? 0));
      expect(ms.get(decision.outcome.region)).toBeLessThanOrEqual(nearest + 10);
    }),
    { seed: SEED, numRuns: 500 },
  );
});

test('law: a region outside the scope does not matter, however near and well it is', () => {
  fc.assert(
    fc.property(scenes, fc.constantFrom<Verdict>('up', 'down', 'unknown'), (given, verdict) => {
      const { facts, scene, scope } = given;
      const verdicts = { ...scene.verdicts };
      for (const id of IDS) if (!scope.regions.includes(id)) verdicts[id] = verdict;
      expect(decide(facts, { ...scene, verdicts }).outcome).toEqual(decide(facts, scene).outcome);
    }),
    { seed: SEED, numRuns: 500 },
  );
});
