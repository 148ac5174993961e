// What a schema cannot say of a configuration: names that must exist, homes inside their scope,
// hosts and slots used once, a threshold that is a majority, agreement with the pinned trust
// document. The receivers of a commit check the same again and are the ones to be believed; here it
// is found all at once, offline and with its place.

import type { TrustDocument } from '../../shared/control/trust.ts';
import { SITES_MAX } from '../../shared/limits.ts';
import type { Says } from './config-faults.ts';
import type { Path } from './config-merge.ts';
import type { Config } from './config-schema.ts';
import { hint } from './nearest.ts';

/** What is well-formed of a configuration, field by field, and the names of all its records. */
export interface Parts {
  readonly cluster?: string;
  readonly threshold?: number;
  readonly sites: Records<{ readonly region: boolean; readonly slot: number }>;
  readonly scopes: Records<Pick<Config['scopes'][string], 'regions'>>;
  readonly tenants: Records<Config['tenants'][string]>;
  readonly latency: Records<Config['latency'][string]>;
  readonly templates: Records<Config['templates'][string]>;
  readonly names: Readonly<Record<'sites' | 'scopes' | 'policies', readonly string[]>>;
}

type Records<T> = Readonly<Record<string, Partial<T>>>;

export function ruleFaults(parts: Parts, trust: TrustDocument | null): readonly Says[] {
  return [
    ...siteFaults(parts),
    ...scopeFaults(parts),
    ...tenantFaults(parts),
    ...latencyFaults(parts),
    ...templateFaults(parts),
    ...(trust === null ? [] : trustFaults(parts, trust)),
  ];
}

function siteFaults({ sites, threshold, names }: Parts): readonly Says[] {
  const faults: Says[] = [];
  const slots = new Map<number, string>();
  for (const [id, site] of Object.entries(sites)) {
    const { slot } = site;
    if (slot === undefined) continue;
    const other = slots.get(slot);
    if (other === undefined) slots.set(slot, id);
    else faults.push(fault(['sites', id, 'slot'], `slot ${slot} is that of ${other}`));
  }
  const many = names.sites.length;
  if (many < 1 || many > SITES_MAX) faults.push(fault(['sites'], `expected 1 to ${SITES_MAX}`));
  // A majority, so that two thresholds always share a site (C10).
  if (threshold !== undefined && (threshold * 2 <= many || threshold > many)) {
    faults.push(fault(['threshold'], `${threshold} is not a majority of ${many} sites`));
  }
  return faults;
}

function scopeFaults(parts: Parts): readonly Says[] {
  return Object.entries(parts.scopes).flatMap(([id, { regions = [] }]) => {
    return regions.flatMap((region, i) => regionFault(['scopes', id, 'regions', i], region, parts));
  });
}

function tenantFaults(parts: Parts): readonly Says[] {
  const faults: Says[] = [];
  const hosts = new Map<string, string>();
  for (const [id, { hosts: own = [], scope, home, policy }] of Object.entries(parts.tenants)) {
    const at = (field: string): Path => ['tenants', id, field];
    if (scope !== undefined) faults.push(...nameFault(at('scope'), scope, 'scopes', parts));
    if (policy !== undefined) faults.push(...nameFault(at('policy'), policy, 'policies', parts));
    if (home !== undefined) faults.push(...homeFault(at('home'), home, scope, parts));
    for (const [i, host] of own.entries()) {
      const other = hosts.get(host);
      if (other === undefined) hosts.set(host, id);
      else faults.push(fault(['tenants', id, 'hosts', i], `${host} is a host of ${other}`));
    }
  }
  return faults;
}

function templateFaults(parts: Parts): readonly Says[] {
  return Object.entries(parts.templates).flatMap(([id, template]) => {
    const { scope, policy, homes = [], hostSuffixes, customHosts } = template;
    const at = (field: string): Path => ['templates', id, field];
    const none = customHosts === false && hostSuffixes?.length === 0;
    return [
      ...(scope === undefined ? [] : nameFault(at('scope'), scope, 'scopes', parts)),
      ...(policy === undefined ? [] : nameFault(at('policy'), policy, 'policies', parts)),
      ...homes.flatMap((home, i) => homeFault([...at('homes'), i], home, scope, parts)),
      ...(none ? [fault(at('hostSuffixes'), 'no host is allowed, nor are customHosts')] : []),
    ];
  });
}

function homeFault(
  path: Path,
  home: string,
  scope: string | undefined,
  parts: Parts,
): readonly Says[] {
  const faults = regionFault(path, home, parts);
  const regions = scope === undefined ? undefined : parts.scopes[scope]?.regions;
  if (faults.length > 0 || regions === undefined || regions.includes(home)) return faults;
  return [fault(path, `${home} is outside scope ${scope} (${regions.join(', ')})`)];
}

function latencyFaults(parts: Parts): readonly Says[] {
  return Object.entries(parts.latency).flatMap(([colo, row]) =>
    Object.keys(row).flatMap((region) =>
      regionFault(['latency', colo, region], region, parts, 'key'),
    ),
  );
}

function trustFaults({ cluster, threshold, names }: Parts, trust: TrustDocument): readonly Says[] {
  const faults: Says[] = [];
  if (cluster !== undefined && cluster !== trust.cluster) {
    faults.push(fault(['cluster'], `trust.json is of cluster ${trust.cluster}`));
  }
  if (threshold !== undefined && threshold !== trust.threshold) {
    faults.push(fault(['threshold'], `trust.json says ${trust.threshold}`));
  }
  const trusted = Object.keys(trust.sites);
  for (const site of names.sites) {
    if (trusted.includes(site)) continue;
    const message = `trust.json names no such site${hint(site, trusted)}`;
    faults.push({ path: ['sites', site], part: 'key', message });
  }
  const missing = trusted.filter((site) => !names.sites.includes(site));
  if (missing.length > 0) {
    const message = `trust.json names ${missing.join(', ')} too`;
    faults.push({ path: ['sites'], part: 'key', message });
  }
  return faults;
}

function regionFault(
  path: Path,
  id: string,
  { sites, names }: Parts,
  part: Says['part'] = 'value',
): readonly Says[] {
  const regions = names.sites.filter((name) => sites[name]?.region !== false);
  if (regions.includes(id)) return [];
  const witness = names.sites.includes(id);
  const message = witness ? `${id} is a witness, not a region` : unknown('region', id, regions);
  return [{ path, part, message }];
}

function nameFault(
  path: Path,
  id: string,
  collection: 'scopes' | 'policies',
  { names }: Parts,
): readonly Says[] {
  if (names[collection].includes(id)) return [];
  const what = collection === 'scopes' ? 'scope' : 'policy';
  return [fault(path, unknown(what, id, names[collection]))];
}

function unknown(what: string, id: string, names: readonly string[]): string {
  return `there is no ${what} ${id}${hint(id, names)}`;
}

function fault(path: Path, message: string): Says {
  return { path, part: 'value', message };
}
