// One commit's operations applied to the state before it: pure, and the same for the author who
// plans the change, the agents and the stores (C4, C7). Nothing is judged against time, code
// versions or who asks; that a change is legal is decided here and in `checks.ts`, nowhere else.

import { canonical, utf8Length } from '../canonical.ts';
import type { Hasher } from '../crypto.ts';
import { GLOBAL_BYTES_MAX, OPERATIONS_PER_COMMIT_MAX } from '../limits.ts';
import { deriveClass } from './change-class.ts';
import { globalFault, tenantFault } from './checks.ts';
import { type Edits, type GlobalEdit, parseOperations } from './edits.ts';
import type { ChangeClass, Operation } from './envelope.ts';
import { find, MissingNodeError, type NodeSource } from './merkle-map.ts';
import { type Global, globalSchema, type TenantEntry } from './record.ts';
import { isRefusal, type Refusal, refuse } from './refusal.ts';
import { type ControlState, entryOf } from './state.ts';
import { recount, type Usage, withSlots } from './usage.ts';

export interface TenantChange {
  readonly id: string;
  readonly before: TenantEntry | null;
  readonly after: TenantEntry;
}

export interface Folded {
  readonly kind: 'folded';
  readonly global: Global;
  readonly usage: Usage;
  readonly tenants: readonly TenantChange[];
  /** Host -> tenant id, undefined where the host is given up. */
  readonly hosts: ReadonlyMap<string, string | undefined>;
  /** What the change amounts to, whatever its author called it (C6). */
  readonly class: ChangeClass;
}

/**
 * Refusals: those of `parseOperations`, and reference, host-taken, legal-home, placement,
 * tenant-home, site, record, too-large. `sites` are those that trust names.
 */
export function fold(
  state: ControlState,
  operations: readonly Operation[],
  sites: readonly string[],
  nodes: NodeSource,
  hasher: Hasher,
): Folded | Refusal {
  if (operations.length > OPERATIONS_PER_COMMIT_MAX) {
    return refuse('operations', `${OPERATIONS_PER_COMMIT_MAX} in a commit at most`);
  }
  const edits = parseOperations(operations);
  if (isRefusal(edits)) return edits;
  const global = editGlobal(state.global, edits.global);
  if ('code' in global) return global;
  const tenants = editTenants(state, edits, nodes, hasher);
  if ('code' in tenants) return tenants;
  const usage = withSlots(recount(state.usage, tenants), global);
  // Tenants first: their faults name the tenant. The counts then speak for all that are untouched.
  for (const change of tenants) {
    const found = tenantFault(change, edits.tenants.get(change.id) ?? {}, global);
    if (found !== null) return found;
  }
  const fault = globalFault({ after: global, usage, sites });
  if (fault !== null) return fault;
  const hosts = editHosts(state, tenants, nodes, hasher);
  if ('code' in hosts) return hosts;
  return {
    kind: 'folded',
    global,
    usage,
    tenants,
    hosts,
    class: deriveClass({ before: state.global, after: global, usage: state.usage, tenants }),
  };
}

function editGlobal(before: Global, edits: readonly GlobalEdit[]): Global | Refusal {
  if (edits.length === 0) return before;
  const next: Record<string, Record<string, unknown>> = {};
  for (const [collection, records] of Object.entries(before)) next[collection] = { ...records };
  for (const { collection, id, value } of edits) {
    const records = next[collection] ?? {};
    if (value !== null) records[id] = value;
    else if (!Object.hasOwn(records, id)) return refuse('operations', `no ${collection} ${id}`);
    else delete records[id];
  }
  if (utf8Length(canonical(next)) > GLOBAL_BYTES_MAX) {
    return refuse('too-large', `the global part takes ${GLOBAL_BYTES_MAX} bytes`);
  }
  return globalSchema.parse(next);
}

function editTenants(
  state: ControlState,
  edits: Edits,
  nodes: NodeSource,
  hasher: Hasher,
): readonly TenantChange[] | Refusal {
  const changes: TenantChange[] = [];
  for (const [id, edit] of edits.tenants) {
    const before = entryOf(state, id, nodes, hasher);
    if (edit.tenant === null && before?.tenant === undefined) {
      return refuse('operations', `no tenant ${id}`);
    }
    const placement = edit.placement ?? before?.placement;
    if (placement === undefined) return refuse('placement', `${id} has no placement`);
    const tenant = edit.tenant === undefined ? before?.tenant : edit.tenant;
    changes.push({ id, before, after: tenant ? { tenant, placement } : { placement } });
  }
  return changes;
}

function editHosts(
  state: ControlState,
  tenants: readonly TenantChange[],
  nodes: NodeSource,
  hasher: Hasher,
): ReadonlyMap<string, string | undefined> | Refusal {
  const hosts = new Map<string, string | undefined>();
  for (const { before, after } of tenants) {
    const kept = new Set(after.tenant?.hosts);
    for (const host of before?.tenant?.hosts ?? []) if (!kept.has(host)) hosts.set(host, undefined);
  }
  for (const { id, before, after } of tenants) {
    const had = new Set(before?.tenant?.hosts);
    for (const host of after.tenant?.hosts ?? []) {
      if (had.has(host)) continue;
      const owner = hosts.has(host) ? hosts.get(host) : ownerOf(state, host, nodes, hasher);
      // Attack: a tenant that names another's host would receive that tenant's requests.
      if (owner !== undefined) return refuse('host-taken', `${host} belongs to ${owner}`);
      hosts.set(host, id);
    }
  }
  return hosts;
}

function ownerOf(
  state: ControlState,
  host: string,
  nodes: NodeSource,
  hasher: Hasher,
): string | undefined {
  const found = find(state.manifest.hosts, host, nodes, hasher);
  if (found.kind === 'missing') throw new MissingNodeError(found.digest);
  return found.kind === 'present' ? String(found.value) : undefined;
}
