// The class of a change, derived from its effect (C6): what lets a tenant's bytes go where they
// could not go before is `safety`, whoever signs it and whatever the envelope says.
//
// Evasions that this closes: widening a scope before or after moving tenants into it (both the
// scope and each tenant's effective rule are compared), and retiring a tenant to create it again
// elsewhere (an id that comes back is `safety`).

import type { ChangeClass } from './envelope.ts';
import type { TenantChange } from './fold.ts';
import type { Global, Scope } from './record.ts';
import { homesOf, type Usage } from './usage.ts';

interface Effect {
  readonly before: Global;
  readonly after: Global;
  /** Before the commit: a scope without tenants may change freely. */
  readonly usage: Usage;
  readonly tenants: readonly TenantChange[];
}

export function deriveClass({ before, after, usage, tenants }: Effect): ChangeClass {
  for (const [id, scope] of Object.entries(after.scopes)) {
    const was = before.scopes[id];
    const used = Object.keys(homesOf(usage, id)).length > 0;
    if (used && was !== undefined && widens(was, scope)) return 'safety';
  }
  return tenants.some((change) => tenantWidens(change, before, after)) ? 'safety' : 'normal';
}

function tenantWidens({ before: from, after: to }: TenantChange, before: Global, after: Global) {
  if (from === null || to.tenant === undefined) return false;
  if (from.tenant === undefined) return true;
  const was = before.scopes[from.tenant.scope];
  const is = after.scopes[to.tenant.scope];
  return was === undefined || is === undefined || widens(was, is);
}

/** Does `to` allow a region, or a country of ingress, that `from` does not? */
export function widens(from: Scope, to: Scope): boolean {
  if (to.regions.some((region) => !from.regions.includes(region))) return true;
  if (from.ingress === 'any') return false;
  if (to.ingress === 'any') return true;
  const { countries } = from.ingress;
  return to.ingress.countries.some((country) => !countries.includes(country));
}
