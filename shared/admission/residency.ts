// Residency: which regions MAY serve a tenant. Asked first, to narrow, and last, to confirm, on
// every path and at every hop (I14): edge, gateway and later replication call these same two
// functions.

import type { Placement, Policy, Scope } from '../control/record.ts';
import type { OperationClass } from './operation.ts';

export type ResidencyFault = 'outside-scope' | 'not-home' | 'no-replica-reads' | 'home-not-active';

export interface ResidencyRule {
  readonly scope: Scope;
  readonly policy: Policy;
  readonly placement: Placement;
}

/** Why `region` may not serve `op`; null when it may. */
export function residencyFault(
  region: string,
  op: OperationClass,
  { scope, policy, placement }: ResidencyRule,
): ResidencyFault | null {
  if (!scope.regions.includes(region)) return 'outside-scope';
  const home = placement.home === region;
  if (op === 'read') return home || policy.replicaReads ? null : 'no-replica-reads';
  if (!home) return 'not-home';
  return placement.state === 'ACTIVE' ? null : 'home-not-active';
}

export type IngressFault = 'ingress-country' | 'country-unknown';

/**
 * May the edge handle a request from `country`? Not knowing it, where a rule asks, is doubt (S1).
 */
export function ingressFault(scope: Scope, country: string | undefined): IngressFault | null {
  if (scope.ingress === 'any') return null;
  if (country === undefined) return 'country-unknown';
  return scope.ingress.countries.includes(country) ? null : 'ingress-country';
}
