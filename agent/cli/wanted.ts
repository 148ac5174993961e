// The records that a configuration asks for, in the form in which they are stored: lists that mean
// a set are sorted, edge locations in lower case, every default written out. Two files that mean
// the same lead to the same bytes, so `plan` shows what changes and never how it was written.

import type { Global, Tenant } from '../../shared/control/record.ts';
import type { Config } from './config-schema.ts';

export interface WantedTenant {
  readonly tenant: Tenant;
  readonly home: string;
  /** null: as it is. A file that says nothing must not resume whom a provisioner suspended. */
  readonly suspended: boolean | null;
}

export interface Wanted {
  readonly global: Global;
  readonly tenants: ReadonlyMap<string, WantedTenant>;
}

export function wantedBy(config: Config): Wanted {
  const global: Global = {
    sites: mapped(config.sites, (site) => {
      return site.region ? { ...site, zones: site.zones.toSorted() } : site;
    }),
    scopes: mapped(config.scopes, ({ regions, ingress }) => ({
      regions: regions.toSorted(),
      ingress: ingress === 'any' ? ingress : { countries: ingress.countries.toSorted() },
    })),
    policies: config.policies,
    latency: lowerCased(config.latency),
    stores: lowerCased(config.stores),
    templates: mapped(config.templates, (template) => ({
      ...template,
      homes: template.homes.toSorted(),
      hostSuffixes: template.hostSuffixes.toSorted(),
    })),
  };
  const tenants = new Map<string, WantedTenant>();
  for (const [id, { home, hosts, suspended, ...rest }] of Object.entries(config.tenants)) {
    const tenant = { ...rest, hosts: hosts.toSorted() };
    tenants.set(id, { tenant, home, suspended: suspended ?? null });
  }
  return { global, tenants };
}

function mapped<T, U>(
  records: Readonly<Record<string, T>>,
  change: (record: T) => U,
): Record<string, U> {
  const entries = Object.entries(records).map(([id, record]) => [id, change(record)] as const);
  return Object.fromEntries(entries);
}

/** The edge reads `cf.colo` in lower case, as record ids are. */
function lowerCased<T>(records: Readonly<Record<string, T>>): Record<string, T> {
  const entries = Object.entries(records).map(
    ([id, record]) => [id.toLowerCase(), record] as const,
  );
  return Object.fromEntries(entries);
}
