// Scenes of decisions: a small deployment for tables, and random ones for laws.

import fc from 'fast-check';
import type { Facts } from '../../shared/admission/facts.ts';
import type { Global, Placement, Policy, Scope, Site } from '../../shared/control/record.ts';
import type { Digest } from '../../shared/digest.ts';
import type { Verdict } from '../../shared/health/verdict.ts';
import type { Basis, Scene } from '../../shared/steering/scene.ts';

export const FRANKFURT = [50.11, 8.68] as const;
export const DUBLIN = [53.35, -6.26] as const;
export const NEW_YORK = [40.71, -74.01] as const;

function siteOf(slot: number, [lat, lon]: readonly [number, number], id: string): Site {
  const gateway = `https://gw.${id}.example`;
  return { region: true, slot, at: [lat, lon], gateway, capacity: 100, zones: ['a'] };
}

export const POLICY: Policy = {
  replicaReads: true,
  mode: 'enforce',
  hardAgeS: { write: 60, read: 300, revocation: 60 },
  slowStartS: 0,
  sessionPaths: ['/session'],
};

export const GLOBAL: Global = {
  sites: {
    eu1: siteOf(1, FRANKFURT, 'eu1'),
    eu2: siteOf(2, DUBLIN, 'eu2'),
    us1: siteOf(3, [39.04, -77.49], 'us1'),
    w1: { region: false },
  },
  scopes: {
    one: { regions: ['eu1'], ingress: 'any' },
    eu: { regions: ['eu1', 'eu2'], ingress: 'any' },
    all: { regions: ['eu1', 'eu2', 'us1'], ingress: 'any' },
    de: { regions: ['eu1', 'eu2'], ingress: { countries: ['DE'] } },
  },
  policies: {
    std: POLICY,
    home: { ...POLICY, replicaReads: false },
    swift: { ...POLICY, hardAgeS: { ...POLICY.hardAgeS, revocation: 15 } },
  },
  latency: {},
  stores: {},
  templates: {},
};

export const BASIS: Basis = {
  cluster: 'demo',
  generation: 1n,
  version: 7n,
  lamport: 7n,
  commitIndex: 7n,
  manifest: 'm' as Digest,
};

export interface Case {
  readonly op?: 'read' | 'write' | 'session' | 'upgrade';
  readonly from?: readonly [number, number];
  readonly country?: string;
  readonly colo?: string;
  readonly scope?: string;
  readonly policy?: string;
  readonly home?: string;
  readonly state?: Placement['state'];
  readonly verdicts?: Readonly<Record<string, Verdict>>;
  readonly ageMs?: number;
  readonly behind?: boolean;
  readonly suspended?: true;
  readonly latency?: Global['latency'];
}

export function factsOf({ op = 'read', from, country, colo }: Case): Facts {
  return {
    host: 'acme.example',
    method: op === 'write' ? 'POST' : 'GET',
    path: op === 'session' ? '/session/1' : '/notes',
    upgrade: op === 'upgrade',
    client: '203.0.113.0/24',
    ...(country === undefined ? {} : { country }),
    ...(colo === undefined ? {} : { colo }),
    ...(from === undefined ? {} : { at: [from[0], from[1]] }),
  };
}

export function sceneOf({ verdicts, ageMs = 0, latency = {}, ...rest }: Case): Scene {
  const { behind = false, suspended } = rest;
  const { scope = 'eu', policy = 'std', home = 'eu1', state = 'ACTIVE' } = rest;
  return {
    basis: BASIS,
    global: { ...GLOBAL, latency },
    tenant: {
      kind: 'known',
      id: 'acme',
      tenant: {
        ...{ hosts: ['acme.example'], scope, policy, priority: 1 },
        ...(suspended === undefined ? {} : { suspended }),
      },
      placement: { home, epoch: 1n, state },
    },
    verdicts: { eu1: 'up', eu2: 'up', us1: 'up', ...verdicts },
    ageMs,
    behind,
  };
}

export const IDS = ['a1', 'b1', 'c1', 'd1', 'e1'];

/** Any scene that control state allows, and many that it does not: nothing here is trusted. */
export const scenes = fc
  .record({
    regions: fc.subarray(IDS, { minLength: 1 }),
    scope: fc.subarray(IDS, { minLength: 1 }),
    countries: fc.option(fc.subarray(['DE', 'FR'], { minLength: 1 })),
    home: fc.constantFrom(...IDS),
    state: fc.constantFrom<Placement['state']>(
      'ACTIVE',
      'ACTIVE',
      'DRAINING',
      'FENCED',
      'PROMOTING',
    ),
    replicaReads: fc.boolean(),
    verdicts: fc.dictionary(
      fc.constantFrom(...IDS),
      fc.constantFrom<Verdict>('up', 'up', 'degraded', 'down', 'unknown'),
    ),
    capacity: fc.integer({ min: 1, max: 1_000_000 }),
    ages: fc.tuple(fc.nat(70_000), fc.nat(310_000)),
    places: fc.infiniteStream(
      fc.tuple(fc.integer({ min: -90, max: 90 }), fc.integer({ min: -180, max: 180 })),
    ),
    method: fc.constantFrom('GET', 'POST', 'HEAD'),
    path: fc.constantFrom('/notes', '/session/x', '/sessions'),
    upgrade: fc.nat(9).map((n) => n === 0),
    client: fc.constantFrom('', '203.0.113.0/24', '2001:db8:1::/48'),
    country: fc.option(fc.constantFrom('DE', 'US'), { nil: undefined }),
    at: fc.option(fc.constantFrom(FRANKFURT, DUBLIN, NEW_YORK), { nil: undefined }),
    measured: fc.boolean(),
  })
  .map((given) => {
    const { countries, country, at, method, path, upgrade, client } = given;
    const op = upgrade || path === '/session/x' ? 'session' : method === 'POST' ? 'write' : 'read';
    const scope: Scope = {
      regions: given.scope,
      ingress: countries === null ? 'any' : { countries },
    };
    const sites = given.regions.map((id, i) => {
      const { value } = given.places.next();
      return [id, { ...siteOf(i + 1, value, id), capacity: given.capacity }] as const;
    });
    const row = Object.fromEntries(given.regions.map((id, i) => [id, (i * 37) % 90]));
    const scene: Scene = {
      basis: BASIS,
      global: {
        sites: { ...Object.fromEntries(sites), w1: { region: false } },
        scopes: { s: scope },
        policies: { p: { ...POLICY, replicaReads: given.replicaReads } },
        latency: given.measured ? { fra: row } : {},
        stores: {},
        templates: {},
      },
      tenant: {
        kind: 'known',
        id: 'acme',
        tenant: { hosts: ['acme.example'], scope: 's', policy: 'p', priority: 1 },
        placement: { home: given.home, epoch: 1n, state: given.state },
      },
      verdicts: given.verdicts,
      ageMs: given.ages[op === 'read' ? 1 : 0],
      behind: false,
    };
    const facts: Facts = {
      ...{ host: 'acme.example', method, path, upgrade, client, colo: 'fra' },
      ...(country === undefined ? {} : { country }),
      ...(at === undefined ? {} : { at: [at[0], at[1]] }),
    };
    return {
      facts,
      scene,
      op,
      scope,
      home: given.home,
      state: given.state,
      reads: given.replicaReads,
    };
  });

export type Given = typeof scenes extends fc.Arbitrary<infer T> ? T : never;

/** The rules again, as plain sentences: which regions may and can serve. */
export function admissible({ scene, op, scope, home, state, reads }: Given): readonly string[] {
  return Object.keys(scene.global.sites).filter((id) => {
    if (id === 'w1' || !scope.regions.includes(id)) return false;
    const verdict = scene.verdicts[id] ?? 'unknown';
    if (verdict === 'down' || (verdict === 'unknown' && id !== home)) return false;
    if (op === 'read') return id === home || reads;
    return id === home && state === 'ACTIVE';
  });
}
