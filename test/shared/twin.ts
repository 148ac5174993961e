// A dumb twin of control state: tenants in a plain Map, no digests, no counts kept, nothing shared
// with the code under test. What it says of random changes is what `fold` has to say.

import fc from 'fast-check';
import type { Operation } from '../../shared/control/envelope.ts';
import { put, region } from './kit.ts';

export const HOSTS = Array.from({ length: 8 }, (_, i) => `h${i}.example`);
export const TENANTS = Array.from({ length: 5 }, (_, i) => `t${i}`);

const SLOTS: Readonly<Record<string, number>> = { eu1: 1, us1: 2 };
const SCOPES: Readonly<Record<string, readonly string[]>> = {
  eu: ['eu1'],
  us: ['us1'],
  atlantic: ['eu1', 'us1'],
};

function policy(replicaReads: boolean): unknown {
  return {
    replicaReads,
    mode: 'enforce',
    hardAgeS: { write: 60, read: 300, revocation: 60 },
    slowStartS: 60,
    sessionPaths: [],
  };
}

/** Two regions, a witness, three scopes, two policies, nobody in them. */
export const EMPTY_WORLD: readonly Operation[] = [
  put('global/sites/eu1', region(1, [50.11, 8.68], 'https://gw.eu1.example')),
  put('global/sites/us1', region(2, [39.04, -77.49], 'https://gw.us1.example')),
  put('global/sites/w1', { region: false }),
  ...Object.entries(SCOPES).map(([id, regions]) => {
    return put(`global/scopes/${id}`, { regions, ingress: 'any' });
  }),
  put('global/policies/std', policy(true)),
  put('global/policies/home', policy(false)),
];

export interface TwinTenant {
  readonly live: boolean;
  readonly hosts: readonly string[];
  readonly scope: string;
  readonly policy: string;
  readonly home: string;
  readonly epoch: number;
}

export type Twin = ReadonlyMap<string, TwinTenant>;

/** What one commit wants of one tenant. */
export interface Wish {
  readonly id: string;
  readonly retire: boolean;
  readonly hosts: readonly string[];
  readonly scope: string;
  readonly policy: string;
  /** Where a tenant that appears starts. */
  readonly home: string;
}

const wish = fc.record({
  id: fc.constantFrom(...TENANTS),
  retire: fc.nat(4).map((n) => n === 0),
  hosts: fc.subarray(HOSTS, { minLength: 1, maxLength: 3 }),
  scope: fc.constantFrom(...Object.keys(SCOPES)),
  policy: fc.constantFrom('std', 'home'),
  home: fc.constantFrom(...Object.keys(SLOTS)),
});

/** One commit: each tenant at most once. */
export const wishes = fc.uniqueArray(wish, {
  selector: ({ id }) => id,
  minLength: 1,
  maxLength: 4,
});

export interface Attempt {
  readonly operations: readonly Operation[];
  /** Any of these codes may be the answer; none: it is accepted. */
  readonly faults: ReadonlySet<string>;
  readonly class: 'normal' | 'safety';
  readonly next: Twin;
}

export function attempt(twin: Twin, wanted: readonly Wish[]): Attempt {
  const next = new Map(twin);
  const faults = new Set<string>();
  const operations: Operation[] = [];
  let safety = false;
  for (const one of wanted) {
    const before = twin.get(one.id);
    if (one.retire) {
      operations.push({ op: 'delete', key: `tenants/${one.id}/tenant` });
      if (before?.live !== true) faults.add('operations').add('placement');
      else next.set(one.id, { ...before, live: false });
      continue;
    }
    const { hosts, scope, policy } = one;
    const value = { hosts: hosts.toSorted(), scope, policy, priority: 1 };
    operations.push(put(`tenants/${one.id}/tenant`, value));
    const after = placed(before, one);
    next.set(one.id, after);
    if (before?.live !== true) operations.push(placementPut(one.id, after));
    if (!regionsOf(scope).includes(after.home)) faults.add('legal-home');
    if (before !== undefined && !before.live) safety = true;
    if (before?.live === true && widens(before.scope, scope)) safety = true;
  }
  if (sharedHost(next)) faults.add('host-taken');
  return { operations, faults, class: safety ? 'safety' : 'normal', next };
}

/** Tenants by scope and home, and by policy, counted from nothing; and who has which slot. */
export function countOf(twin: Twin): unknown {
  const scopes: Record<string, Record<string, number>> = {};
  const policies: Record<string, number> = {};
  for (const { live, scope, policy, home } of twin.values()) {
    if (!live) continue;
    const homes = scopes[scope] ?? {};
    homes[home] = (homes[home] ?? 0) + 1;
    scopes[scope] = homes;
    policies[policy] = (policies[policy] ?? 0) + 1;
  }
  return { scopes, policies, slots: { 1: 'eu1', 2: 'us1' } };
}

export function ownersOf(twin: Twin): ReadonlyMap<string, string> {
  const owners = new Map<string, string>();
  for (const [id, { live, hosts }] of twin) {
    if (live) for (const host of hosts) owners.set(host, id);
  }
  return owners;
}

function placed(before: TwinTenant | undefined, { home, hosts, scope, policy }: Wish): TwinTenant {
  if (before?.live === true) return { ...before, hosts: hosts.toSorted(), scope, policy };
  let epoch = (before?.epoch ?? 0) + 1;
  while (epoch % 64 !== SLOTS[home]) epoch++;
  return { live: true, hosts: hosts.toSorted(), scope, policy, home, epoch };
}

function placementPut(id: string, { home, epoch }: TwinTenant): Operation {
  return put(`tenants/${id}/placement`, { home, epoch: String(epoch), state: 'ACTIVE' });
}

function regionsOf(scope: string): readonly string[] {
  return SCOPES[scope] ?? [];
}

function widens(from: string, to: string): boolean {
  return regionsOf(to).some((one) => !regionsOf(from).includes(one));
}

function sharedHost(twin: Twin): boolean {
  const hosts = [...twin.values()].flatMap(({ live, hosts }) => (live ? hosts : []));
  return new Set(hosts).size < hosts.length;
}
