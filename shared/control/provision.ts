// May this step land here (C3)? One pure function for the agent that takes a step, the peer that
// co-signs it, the author of the commit and every receiver of it. A provisioner's key can make
// tenants as templates say, suspend them and retire them. It cannot widen where anybody's data may
// be, touch a tenant that operators made, move a placement or take a host.
//
// Steps of one batch are judged one after the other, each on the ground that the ones before leave.

import { wildcardOf } from '../admission/tenant.ts';
import { canonical } from '../canonical.ts';
import type { Hasher } from '../crypto.ts';
import { digestOf } from '../digest.ts';
import { tenantFault } from './checks.ts';
import { find, MissingNodeError, type NodeSource } from './merkle-map.ts';
import { type Global, parseKey, type Template, type TenantEntry } from './record.ts';
import { isRefusal, type Refusal, refuse } from './refusal.ts';
import { type ControlState, entryOf } from './state.ts';
import { type Act, actOf, type Step } from './step.ts';

/** What a step stands on: a state, and the steps before it in the same batch. */
export interface Ground {
  readonly cluster: string;
  readonly generation: bigint;
  /** As which version the step would land. */
  readonly version: bigint;
  readonly global: Global;
  readonly entry: (id: string) => TenantEntry | null;
  /** Whose host a name or a wildcard is; undefined: nobody's. */
  readonly owner: (host: string) => string | undefined;
  /** Tenants that an earlier step of the batch touched. */
  readonly touched: ReadonlySet<string>;
}

/** The ground that the next commit on `state` stands on. Throws MissingNodeError when asked. */
export function groundOn(state: ControlState, nodes: NodeSource, hasher: Hasher): Ground {
  const { cluster, generation, version, hosts } = state.manifest;
  return {
    cluster,
    generation,
    version: version + 1n,
    global: state.global,
    entry: (id) => entryOf(state, id, nodes, hasher),
    owner: (host) => {
      const found = find(hosts, host, nodes, hasher);
      if (found.kind === 'missing') throw new MissingNodeError(found.digest);
      return found.kind === 'present' ? String(found.value) : undefined;
    },
    touched: new Set(),
  };
}

export interface Stood {
  readonly kind: 'stood';
  /** What the next step of the batch stands on. */
  readonly ground: Ground;
}

/**
 * Judges one step. Refusals: cluster, generation, step, step-expired, step-reads, template,
 * tenant-exists, host-taken, and those of `actOf` and `tenantFault`.
 */
export function stand(step: Step, ground: Ground, hasher: Hasher): Stood | Refusal {
  const act = actOf(step);
  if (isRefusal(act)) return act;
  const fault = placeFault(step, ground, hasher) ?? actFault(act, step, ground);
  return fault ?? { kind: 'stood', ground: after(act, ground) };
}

/** The first fault of steps that want to land together, or null. */
export function stepsFault(
  steps: readonly { readonly value: Step }[],
  ground: Ground,
  hasher: Hasher,
): Refusal | null {
  let standing = ground;
  for (const { value } of steps) {
    const stood = stand(value, standing, hasher);
    if (stood.kind === 'refused') return refuse(stood.code, `${value.opId}: ${stood.detail}`);
    standing = stood.ground;
  }
  return null;
}

function placeFault(step: Step, ground: Ground, hasher: Hasher): Refusal | null {
  if (step.cluster !== ground.cluster) return refuse('cluster', step.cluster);
  if (step.generation !== ground.generation) return refuse('generation', `${step.generation}`);
  if (ground.version > step.notAfterVersion) {
    return refuse('step-expired', `until ${step.notAfterVersion}; ${ground.version} is next`);
  }
  for (const [key, digest] of Object.entries(step.reads)) {
    const found = recordAt(key, ground);
    if (found === undefined) return refuse('step', `no such key: ${key}`);
    const held = found === null ? null : digestOf(found, hasher);
    // Attack: an old step, shown again when what it stood on is another thing.
    if (held !== digest) return refuse('step-reads', `${key} is not as it was read`);
  }
  return null;
}

function actFault(act: Act, step: Step, ground: Ground): Refusal | null {
  const { id } = act;
  if (ground.touched.has(id)) return refuse('step', `${id}: one step of a batch`);
  const before = ground.entry(id);
  if (act.kind === 'create') return creationFault(act, before, ground);
  const tenant = before?.tenant;
  if (tenant === undefined) return refuse('operations', `no tenant ${id}`);
  // Attack: a provisioner's key turned against the tenants that operators keep.
  if (tenant.template === undefined) return refuse('template', `${id} is of no template`);
  // Together with the record's own `step` this lets no step land twice.
  if (typeof step.reads[`tenants/${id}/tenant`] !== 'string') {
    return refuse('step', `${id}: the step does not say which record it read`);
  }
  if (act.kind === 'retire') return null;
  if (tenant.suspended === true) return refuse('step', `${id} is suspended already`);
  if (tenant.step === step.opId) return refuse('step', `${id}: the step landed before`);
  const suspended = { ...tenant, suspended: true, step: step.opId };
  if (canonical(act.tenant) === canonical(suspended)) return null;
  return refuse('step', `${id}: to suspend changes nothing else`);
}

function creationFault(
  { id, tenant, placement }: Extract<Act, { kind: 'create' }>,
  before: TenantEntry | null,
  ground: Ground,
): Refusal | null {
  // Also one that was retired: an id that comes back is of class safety (C6).
  if (before !== null) return refuse('tenant-exists', `${id} is there, or was`);
  const { global } = ground;
  const template = global.templates[tenant.template];
  if (template === undefined) return refuse('template', `no template ${tenant.template}`);
  for (const field of ['scope', 'policy', 'priority'] as const) {
    if (tenant[field] !== template[field]) {
      return refuse('template', `${id}: ${field} is ${template[field]} in ${tenant.template}`);
    }
  }
  if (!template.homes.includes(placement.home)) {
    return refuse('template', `${id}: ${placement.home} is no home of ${tenant.template}`);
  }
  for (const host of tenant.hosts) {
    const fault = hostFault(host, template, ground);
    if (fault !== null) return fault;
  }
  return tenantFault({ id, before, after: { tenant, placement } }, { tenant, placement }, global);
}

function hostFault(host: string, template: Template, { global, owner }: Ground): Refusal | null {
  const wildcard = host.startsWith('*.');
  if (wildcard && !template.wildcards) return refuse('template', `${host}: no wildcards`);
  const base = wildcard ? host.slice(2) : host;
  if (!template.hostSuffixes.some((suffix) => base.endsWith(`.${suffix}`))) {
    if (!template.customHosts) return refuse('template', `${host} is not below a host suffix`);
    // Attack: a custom host in the middle of what other templates give away, or all of it.
    const reserved = Object.values(global.templates).flatMap(({ hostSuffixes }) => hostSuffixes);
    if (reserved.some((suffix) => base === suffix || base.endsWith(`.${suffix}`))) {
      return refuse('template', `${host} belongs below a suffix of another template`);
    }
  }
  // Attack: an exact name is looked up first, so it would take requests from another's wildcard.
  const cover = wildcard ? null : wildcardOf(host);
  for (const name of cover === null ? [host] : [host, cover]) {
    const other = owner(name);
    if (other !== undefined) return refuse('host-taken', `${name} belongs to ${other}`);
  }
  return null;
}

/** The record of a key: null when there is none, undefined for no key at all. */
function recordAt(key: string, { global, entry }: Ground): unknown {
  const parsed = parseKey(key);
  if (parsed === null) return undefined;
  if (parsed.kind === 'global') {
    const records: Readonly<Record<string, unknown>> = global[parsed.collection];
    return Object.hasOwn(records, parsed.id) ? records[parsed.id] : null;
  }
  return entry(parsed.id)?.[parsed.kind] ?? null;
}

function after(act: Act, ground: Ground): Ground {
  const touched = new Set(ground.touched).add(act.id);
  if (act.kind !== 'create') return { ...ground, touched };
  const hosts = new Set(act.tenant.hosts);
  return {
    ...ground,
    touched,
    owner: (host) => (hosts.has(host) ? act.id : ground.owner(host)),
  };
}
