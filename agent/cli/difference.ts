// The difference between the head and what is wanted, record by record. Values are in wire form, as
// they will be signed. What the configuration does not name is kept unless deletions are asked for:
// a file that was cut off must not retire a customer. Tenants with a template are provisioners':
// where the configuration does not name one, nothing is said of it, and nothing deletes it here.

import { canonical, toWire } from '../../shared/canonical.ts';
import { regionOf } from '../../shared/control/checks.ts';
import type { Operation } from '../../shared/control/envelope.ts';
import { entriesOf, type NodeSource } from '../../shared/control/merkle-map.ts';
import { globalKinds, type Tenant, type TenantEntry } from '../../shared/control/record.ts';
import { type Refusal, refuse } from '../../shared/control/refusal.ts';
import { type ControlState, readEntry } from '../../shared/control/state.ts';
import { nextEpoch } from '../../shared/placement/epoch.ts';
import type { Wanted, WantedTenant } from './wanted.ts';
import { someOf } from './words.ts';

export type Change =
  | { readonly kind: 'create'; readonly key: string; readonly after: unknown }
  | {
      readonly kind: 'update';
      readonly key: string;
      readonly before: unknown;
      readonly after: unknown;
    }
  | { readonly kind: 'delete'; readonly key: string; readonly before: unknown }
  /** Not in the configuration, and left alone. */
  | { readonly kind: 'keep'; readonly key: string };

export interface TenantDifference {
  readonly id: string;
  readonly before: TenantEntry | null;
  /** The new records; null: retired. */
  readonly after: WantedTenant | null;
  /** The tenant's record, and its placement when the tenant is new: never apart. */
  readonly changes: readonly Change[];
}

export interface Difference {
  readonly global: readonly Change[];
  readonly tenants: readonly TenantDifference[];
}

/** Refusal: tenant-home, when a tenant that exists would get another home. */
export function differenceOf(
  state: ControlState,
  nodes: NodeSource,
  wanted: Wanted,
  prune: boolean,
): Difference | Refusal {
  const held = new Map<string, TenantEntry>();
  for (const [id, value] of entriesOf(state.manifest.tenants, nodes)) {
    held.set(id, readEntry(value));
  }
  const moved = movedHomes(held, wanted);
  if (moved.length > 0) {
    return refuse('tenant-home', `${someOf(moved)}: a home moves by a handover, not by a commit`);
  }
  const tenants: TenantDifference[] = [];
  for (const [id, after] of wanted.tenants) {
    const before = held.get(id) ?? null;
    const changes = tenantChanges(id, before, after, wanted);
    if (changes.length > 0) tenants.push({ id, before, after, changes });
  }
  for (const [id, before] of held) {
    if (wanted.tenants.has(id) || before.tenant === undefined) continue;
    if (before.tenant.template !== undefined) continue;
    const changes = [gone(`tenants/${id}/tenant`, before.tenant, prune)];
    tenants.push({ id, before, after: null, changes });
  }
  tenants.sort((a, b) => (a.id < b.id ? -1 : 1));
  return { global: globalChanges(state, wanted, prune), tenants };
}

export function operationOf(change: Change): Operation | null {
  const { key } = change;
  switch (change.kind) {
    case 'create':
    case 'update':
      return { op: 'put', key, value: change.after };
    case 'delete':
      return { op: 'delete', key };
    case 'keep':
      return null;
  }
}

function movedHomes(held: ReadonlyMap<string, TenantEntry>, wanted: Wanted): readonly string[] {
  const moved: string[] = [];
  for (const [id, { home }] of wanted.tenants) {
    const entry = held.get(id);
    if (entry?.tenant === undefined || entry.placement.home === home) continue;
    moved.push(`${id} (${entry.placement.home} -> ${home})`);
  }
  return moved;
}

function globalChanges(
  { global }: ControlState,
  wanted: Wanted,
  prune: boolean,
): readonly Change[] {
  return globalKinds.flatMap((kind) => {
    const before: Readonly<Record<string, unknown>> = global[kind];
    const after: Readonly<Record<string, unknown>> = wanted.global[kind];
    const ids = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
    return ids.flatMap((id) => {
      const key = `global/${kind}/${id}`;
      if (!Object.hasOwn(after, id)) return [gone(key, before[id], prune)];
      return recordChange(key, Object.hasOwn(before, id) ? before[id] : null, after[id]);
    });
  });
}

function tenantChanges(
  id: string,
  before: TenantEntry | null,
  { home, ...own }: WantedTenant,
  wanted: Wanted,
): readonly Change[] {
  const tenant = recordOf(own, before);
  const change = recordChange(`tenants/${id}/tenant`, before?.tenant ?? null, tenant);
  if (before?.tenant !== undefined) return change;
  const slot = regionOf(wanted.global, home)?.slot ?? 0;
  // Above every epoch that this id ever had, also before it was retired (F1).
  const epoch = nextEpoch(before?.placement.epoch ?? 0n, slot);
  const placement = toWire({ home, epoch, state: 'ACTIVE' });
  return [...change, { kind: 'create', key: `tenants/${id}/placement`, after: placement }];
}

/** The wanted record, with what only steps and suspensions write left as it is. */
function recordOf(
  { tenant, suspended }: Omit<WantedTenant, 'home'>,
  before: TenantEntry | null,
): Tenant {
  const held = before?.tenant;
  const off = suspended ?? held?.suspended === true;
  const step = tenant.template === undefined ? undefined : held?.step;
  return {
    ...tenant,
    ...(off ? { suspended: true } : {}),
    ...(step === undefined ? {} : { step }),
  };
}

function recordChange(key: string, before: unknown, after: unknown): readonly Change[] {
  const wire = toWire(after);
  if (before === null) return [{ kind: 'create', key, after: wire }];
  if (canonical(before) === canonical(after)) return [];
  return [{ kind: 'update', key, before: toWire(before), after: wire }];
}

function gone(key: string, before: unknown, prune: boolean): Change {
  return prune ? { kind: 'delete', key, before: toWire(before) } : { kind: 'keep', key };
}
