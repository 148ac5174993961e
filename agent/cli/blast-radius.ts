// Whom a change touches: tenants whose own record, or a record they stand on, is another one after
// it, and what each scope gains or loses. It is shown before anything is signed, so it counts what
// is certain and guesses nothing.

import { canonical } from '../../shared/canonical.ts';
import { widens } from '../../shared/control/change-class.ts';
import { entriesOf, type NodeSource } from '../../shared/control/merkle-map.ts';
import type { Global, Scope, TenantEntry } from '../../shared/control/record.ts';
import { type ControlState, readEntry } from '../../shared/control/state.ts';
import { homesOf } from '../../shared/control/usage.ts';
import type { Difference, TenantDifference } from './difference.ts';
import { NAMES_SHOWN_MAX } from './limits.ts';

/** What a scope, or a tenant that changes its scope, gains and loses. */
export interface Shift {
  readonly id: string;
  readonly gained: readonly string[];
  readonly lost: readonly string[];
  /** Ingress before and after, when it changes. */
  readonly ingress: readonly [Scope['ingress'], Scope['ingress']] | null;
  /** It may reach what it could not reach before: class safety. */
  readonly widens: boolean;
  /** Tenants that stand on it. */
  readonly tenants: number;
}

export interface Listed<T> {
  readonly total: number;
  /** The first ones, where there are many. */
  readonly shown: readonly T[];
}

export interface BlastRadius {
  readonly tenants: Listed<string>;
  readonly scopes: Listed<Shift>;
  /** Tenants that go to another scope. */
  readonly movers: Listed<Shift>;
  /** Retired ids that come back: class safety. */
  readonly returning: Listed<string>;
}

export function blastRadius(
  state: ControlState,
  nodes: NodeSource,
  after: Global,
  difference: Difference,
): BlastRadius {
  const scopes = shiftedScopes(state, after);
  const movers = difference.tenants.flatMap((tenant) => mover(tenant, state.global, after));
  const returning = difference.tenants.filter(
    ({ before, after: wanted }) =>
      before !== null && before.tenant === undefined && wanted !== null,
  );
  return {
    tenants: listed(affected(state, nodes, after, difference)),
    scopes: listed(scopes),
    movers: listed(movers),
    returning: listed(returning.map(({ id }) => id)),
  };
}

function affected(
  state: ControlState,
  nodes: NodeSource,
  after: Global,
  { tenants }: Difference,
): readonly string[] {
  const ids = new Set<string>();
  for (const { id, changes } of tenants) {
    if (changes.some(({ kind }) => kind !== 'keep')) ids.add(id);
  }
  const changed = (kind: 'sites' | 'scopes' | 'policies', id: string) =>
    canonical(state.global[kind][id] ?? null) !== canonical(after[kind][id] ?? null);
  const touched = (entry: TenantEntry) => {
    const { tenant } = entry;
    if (tenant === undefined) return false;
    const { scope, policy } = tenant;
    const regions = state.global.scopes[scope]?.regions ?? [];
    return (
      changed('scopes', scope) ||
      changed('policies', policy) ||
      regions.some((region) => changed('sites', region))
    );
  };
  for (const [id, value] of entriesOf(state.manifest.tenants, nodes)) {
    if (touched(readEntry(value))) ids.add(id);
  }
  return [...ids].sort();
}

function shiftedScopes({ global, usage }: ControlState, after: Global): readonly Shift[] {
  return Object.entries(global.scopes).flatMap(([id, was]) => {
    const is = after.scopes[id];
    if (is === undefined) return [];
    const used = Object.values(homesOf(usage, id)).reduce((sum, many) => sum + many, 0);
    const found = shift(id, was, is, used);
    return found === null ? [] : [{ ...found, widens: found.widens && used > 0 }];
  });
}

function mover(
  { id, before, after: wanted }: TenantDifference,
  global: Global,
  after: Global,
): readonly Shift[] {
  if (before?.tenant === undefined || wanted === null) return [];
  if (before.tenant.scope === wanted.tenant.scope) return [];
  const was = global.scopes[before.tenant.scope];
  const is = after.scopes[wanted.tenant.scope];
  const found = was === undefined || is === undefined ? null : shift(id, was, is, 1);
  return found === null ? [] : [found];
}

function shift(id: string, was: Scope, is: Scope, tenants: number): Shift | null {
  if (canonical(was) === canonical(is)) return null;
  const sameIngress = canonical(was.ingress) === canonical(is.ingress);
  return {
    id,
    gained: is.regions.filter((region) => !was.regions.includes(region)),
    lost: was.regions.filter((region) => !is.regions.includes(region)),
    ingress: sameIngress ? null : [was.ingress, is.ingress],
    widens: widens(was, is),
    tenants,
  };
}

function listed<T>(all: readonly T[]): Listed<T> {
  return { total: all.length, shown: all.slice(0, NAMES_SHOWN_MAX) };
}
