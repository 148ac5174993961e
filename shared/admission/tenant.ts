// Whose request is it? By host: the exact name, else the wildcard of its parent (one label, as in
// certificates). Both answers, also "nobody's", come with a proof under the active manifest (C8),
// so an unknown host is a fact and not a guess.

import type { Manifest } from '../control/manifest.ts';
import type { MapName } from '../control/merkle-map.ts';
import { find, type NodeSource } from '../control/merkle-map.ts';
import { isHostName, type Placement, type Tenant } from '../control/record.ts';
import { readEntry } from '../control/state.ts';
import type { Hasher } from '../crypto.ts';
import type { Digest } from '../digest.ts';

export type TenantLookup =
  | {
      readonly kind: 'known';
      readonly id: string;
      readonly tenant: Tenant;
      readonly placement: Placement;
    }
  | { readonly kind: 'unknown' }
  /** A node is not at hand: fetch it and look again. */
  | { readonly kind: 'missing'; readonly map: MapName; readonly digest: Digest };

/** `*.example.org` for `shop.example.org`; null where no parent is left. */
export function wildcardOf(host: string): string | null {
  const dot = host.indexOf('.');
  return dot < 1 || !host.includes('.', dot + 1) ? null : `*${host.slice(dot)}`;
}

/** The tenant of `host` in the state that `manifest` names. */
export function lookUpTenant(
  host: string,
  manifest: Manifest,
  nodes: NodeSource,
  hasher: Hasher,
): TenantLookup {
  // What is no host name is nobody's, whatever a wildcard would cover.
  if (!isHostName(host)) return { kind: 'unknown' };
  const wildcard = wildcardOf(host);
  for (const name of wildcard === null ? [host] : [host, wildcard]) {
    const found = find(manifest.hosts, name, nodes, hasher);
    if (found.kind === 'missing') return { kind: 'missing', map: 'hosts', digest: found.digest };
    if (found.kind === 'present') return lookUpId(String(found.value), manifest, nodes, hasher);
  }
  return { kind: 'unknown' };
}

/** The tenant `id`, which a verified map named or a person asked for. */
export function lookUpId(
  id: string,
  manifest: Manifest,
  nodes: NodeSource,
  hasher: Hasher,
): TenantLookup {
  const found = find(manifest.tenants, id, nodes, hasher);
  if (found.kind === 'missing') return { kind: 'missing', map: 'tenants', digest: found.digest };
  if (found.kind === 'absent') return { kind: 'unknown' };
  const { tenant, placement } = readEntry(found.value);
  return tenant === undefined ? { kind: 'unknown' } : { kind: 'known', id, tenant, placement };
}
