// The gateway's own decision on a call that an edge sent (P3): the same records, looked up again,
// the same residency rule, asked again, for this region alone. What the edge wrote is compared,
// never believed: it can only make the answer a refusal.

import type { Facts } from '../admission/facts.ts';
import { operationOf } from '../admission/operation.ts';
import { residencyFault } from '../admission/residency.ts';
import type { TenantLookup } from '../admission/tenant.ts';
import { compareVersions, type Link } from '../control/chain.ts';
import type { Global } from '../control/record.ts';
import { type Admission, hardAgeMs } from '../steering/decide.ts';
import type { Provenance } from './profile.ts';
import type { GatewayCode } from './refusal.ts';

export interface GatewayScene {
  readonly self: string;
  readonly link: Link;
  readonly global: Global;
  /** Of the host that the provenance names. */
  readonly tenant: TenantLookup;
  readonly ageMs: number;
  /** A threshold of sites names something newer that is not stood on. */
  readonly behind: boolean;
}

export type GatewayDecision =
  | { readonly kind: 'admitted'; readonly admission: Admission }
  | { readonly kind: 'refused'; readonly code: GatewayCode };

export function admitCall(
  provenance: Provenance,
  request: Pick<Facts, 'method' | 'path' | 'upgrade'>,
  { self, link, global, tenant: found, ageMs, behind }: GatewayScene,
): GatewayDecision {
  if (provenance.aud !== self) return refused('wrong-region');
  if (compareVersions(provenance, link) > 0) return refused('gateway-behind');
  if (found.kind === 'missing') return refused('gateway-no-state');
  if (found.kind === 'unknown' || found.id !== provenance.tenant) return refused('tenant-mismatch');
  const { tenant, placement } = found;
  // Our own view wins: the edge may not have heard yet (P3).
  if (tenant.suspended === true) return refused('gateway-suspended');
  const scope = global.scopes[tenant.scope];
  const policy = global.policies[tenant.policy];
  if (scope === undefined || policy === undefined) return refused('gateway-no-state');
  const op = operationOf(request, policy);
  if (ageMs > hardAgeMs(op, policy, behind)) return refused('gateway-expired');
  if (provenance.epoch < placement.epoch) return refused('stale-route');
  if (provenance.epoch > placement.epoch) return refused('gateway-stale');
  // Last, and from our own records (I14).
  if (residencyFault(self, op, { scope, policy, placement }) !== null) {
    return refused('gateway-residency');
  }
  const admission = { tenant: found.id, scope: tenant.scope, op, epoch: placement.epoch };
  return { kind: 'admitted', admission };
}

function refused(code: GatewayCode): GatewayDecision {
  return { kind: 'refused', code };
}
