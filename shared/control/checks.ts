// Is the state after a change one that consumers can run (C7)? References resolve, every tenant
// keeps a legal home, placements move only by their own steps. Global changes are judged by the
// usage counts, so none of this reads a tenant that the commit does not touch.

import { nextEpoch } from '../placement/epoch.ts';
import type { TenantEdit } from './edits.ts';
import type { TenantChange } from './fold.ts';
import type { Global, RegionSite } from './record.ts';
import { type Refusal, refuse } from './refusal.ts';
import { homesOf, type Usage } from './usage.ts';

interface GlobalChange {
  readonly after: Global;
  /** After the commit. */
  readonly usage: Usage;
  /** Sites that trust names. */
  readonly sites: readonly string[];
}

export function regionOf(global: Global, id: string): RegionSite | null {
  const site = global.sites[id];
  return site?.region === true ? site : null;
}

export function globalFault(change: GlobalChange): Refusal | null {
  return (
    siteFault(change) ??
    scopeFault(change) ??
    latencyFault(change) ??
    policyFault(change) ??
    templateFault(change)
  );
}

function siteFault({ after, usage, sites }: GlobalChange): Refusal | null {
  const regions = Object.entries(after.sites).filter(([, site]) => site.region);
  for (const id of Object.keys(after.sites)) {
    if (!sites.includes(id)) return refuse('site', `trust names no site ${id}`);
  }
  for (const [id] of regions) {
    const slot = regionOf(after, id)?.slot ?? 0;
    // Epochs already minted carry the slot: it stays with its site, and its site with it (F1).
    const owner = usage.slots[slot];
    if (owner !== id) return refuse('placement', `slot ${slot} belongs to ${owner}, not ${id}`);
    const other = Object.keys(usage.slots).find((s) => usage.slots[s] === id && s !== `${slot}`);
    if (other !== undefined) return refuse('placement', `${id} had slot ${other}`);
  }
  return null;
}

function scopeFault({ after, usage }: GlobalChange): Refusal | null {
  for (const [id, scope] of Object.entries(after.scopes)) {
    for (const region of scope.regions) {
      if (regionOf(after, region) === null) {
        return refuse('reference', `scope ${id} names ${region}, which is no region`);
      }
    }
  }
  for (const id of Object.keys(usage.scopes)) {
    const scope = after.scopes[id];
    if (scope === undefined) return refuse('reference', `tenants use scope ${id}`);
    for (const [home, tenants] of Object.entries(homesOf(usage, id))) {
      if (!scope.regions.includes(home)) {
        return refuse(
          'legal-home',
          `scope ${id} leaves ${tenants} tenants of ${home} without home`,
        );
      }
    }
  }
  return null;
}

function latencyFault({ after }: GlobalChange): Refusal | null {
  for (const [colo, row] of Object.entries(after.latency)) {
    for (const region of Object.keys(row)) {
      if (regionOf(after, region) === null) {
        return refuse('reference', `latency of ${colo} names ${region}, which is no region`);
      }
    }
  }
  return null;
}

function policyFault({ after, usage }: GlobalChange): Refusal | null {
  for (const id of Object.keys(usage.policies)) {
    if (after.policies[id] === undefined) return refuse('reference', `tenants use policy ${id}`);
  }
  return null;
}

/** A template from which no legal tenant could come helps nobody (C7). */
function templateFault({ after }: GlobalChange): Refusal | null {
  for (const [id, { scope: name, policy, homes }] of Object.entries(after.templates)) {
    const scope = after.scopes[name];
    if (scope === undefined) return refuse('reference', `template ${id}: no scope ${name}`);
    if (after.policies[policy] === undefined) {
      return refuse('reference', `template ${id}: no policy ${policy}`);
    }
    const outside = homes.find((home) => !scope.regions.includes(home));
    if (outside !== undefined) {
      return refuse('legal-home', `template ${id}: home ${outside} is outside scope ${name}`);
    }
  }
  return null;
}

/** `after` is the global part after the commit. */
export function tenantFault(
  { id, before, after }: TenantChange,
  edit: TenantEdit,
  global: Global,
): Refusal | null {
  const fault = placementFault(id, before?.placement.epoch ?? 0n, before?.tenant, edit, global);
  if (fault !== null) return fault;
  const { tenant, placement } = after;
  if (tenant === undefined) return null;
  const scope = global.scopes[tenant.scope];
  if (scope === undefined) return refuse('reference', `${id}: no scope ${tenant.scope}`);
  if (global.policies[tenant.policy] === undefined) {
    return refuse('reference', `${id}: no policy ${tenant.policy}`);
  }
  const { template } = tenant;
  const named = template !== undefined && template !== before?.tenant?.template;
  // Named anew it must be there; it may go later, and the tenants made from it stay.
  if (named && global.templates[template] === undefined) {
    return refuse('reference', `${id}: no template ${template}`);
  }
  if (!scope.regions.includes(placement.home)) {
    return refuse('legal-home', `${id}: home ${placement.home} is outside scope ${tenant.scope}`);
  }
  return null;
}

/**
 * A home changes by the fenced steps of placement alone (F1, F5); an operator's commit sets it when
 * the tenant appears, with the first epoch of that region above every earlier one.
 */
function placementFault(
  id: string,
  epoch: bigint,
  tenant: unknown,
  edit: TenantEdit,
  global: Global,
): Refusal | null {
  const appears = tenant === undefined && edit.tenant != null;
  const { placement } = edit;
  if (!appears) {
    return placement === undefined ? null : refuse('tenant-home', `${id}: move it by a handover`);
  }
  if (placement === undefined) return refuse('placement', `${id} appears without a placement`);
  const region = regionOf(global, placement.home);
  if (region === null) return refuse('reference', `${id}: home ${placement.home} is no region`);
  if (placement.state !== 'ACTIVE') return refuse('placement', `${id} starts ${placement.state}`);
  const expected = nextEpoch(epoch, region.slot);
  if (placement.epoch !== expected) {
    return refuse('placement', `${id} starts at epoch ${expected}, not ${placement.epoch}`);
  }
  return null;
}
