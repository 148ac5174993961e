// The world's deployment: two regions and a witness, four edge locations, five tenants that differ
// in what their residency allows. Scenarios hold their expectations as literal tables beside this.

import type { ConfigInput } from '../../agent/cli/config-schema.ts';
import type { CityId } from './cities.ts';

export const REGIONS = ['eu1', 'us1'] as const;
export type Region = (typeof REGIONS)[number];

export const SITES = ['eu1', 'us1', 'w1'] as const;
export type Site = (typeof SITES)[number];

export const EDGES = ['fra', 'iad', 'gru', 'nrt'] as const;
export type EdgeId = (typeof EDGES)[number];

/** Each site pushes to one location of its own; fan-out to the stores does the rest (E1). */
export const INGEST: Readonly<Record<Site, readonly EdgeId[]>> = {
  eu1: ['fra'],
  us1: ['iad'],
  w1: ['nrt'],
};

/** Which location a client of a city reaches, as anycast would have it. */
export const EDGE_OF: Readonly<Record<CityId, EdgeId>> = {
  frankfurt: 'fra',
  paris: 'fra',
  madrid: 'fra',
  london: 'fra',
  warsaw: 'fra',
  johannesburg: 'fra',
  'new-york': 'iad',
  'san-francisco': 'iad',
  toronto: 'iad',
  'sao-paulo': 'gru',
  tokyo: 'nrt',
  sydney: 'nrt',
  mumbai: 'nrt',
};

/** Defaults of a policy, in seconds; scaled, they must stay whole. */
const HARD_AGES = { write: 60, read: 300, revocation: 60 } as const;

/**
 * The configuration as an operator would write it; gateways' ports are known once they listen. With
 * a `timeScale` of 0.1 state is too old to serve by after a tenth of the usual ages.
 */
export function demoConfig(gateways: Readonly<Record<Region, string>>, timeScale = 1): ConfigInput {
  const scaled = (ageS: number) => Math.round(ageS * timeScale);
  const hardAgeS = {
    write: scaled(HARD_AGES.write),
    read: scaled(HARD_AGES.read),
    revocation: scaled(HARD_AGES.revocation),
  };
  const region = { region: true as const, capacity: 100, zones: ['a', 'b'] };
  return {
    cluster: 'demo',
    sites: {
      eu1: { ...region, slot: 1, at: [50.11, 8.68], gateway: gateways.eu1 },
      us1: { ...region, slot: 2, at: [39.04, -77.49], gateway: gateways.us1 },
      w1: { region: false },
    },
    threshold: 2,
    scopes: {
      eu: { regions: ['eu1'], ingress: 'any' },
      us: { regions: ['us1'], ingress: 'any' },
      atlantic: { regions: ['eu1', 'us1'], ingress: 'any' },
      dach: { regions: ['eu1'], ingress: { countries: ['AT', 'CH', 'DE'] } },
    },
    policies: {
      std: { replicaReads: true, hardAgeS, sessionPaths: ['/session'] },
      home: { replicaReads: false, hardAgeS },
    },
    templates: {
      basic: {
        scope: 'atlantic',
        policy: 'std',
        homes: ['eu1', 'us1'],
        hostSuffixes: ['tenants.example'],
      },
      brand: {
        scope: 'eu',
        policy: 'std',
        homes: ['eu1'],
        hostSuffixes: ['brands.example'],
        customHosts: true,
        wildcards: true,
      },
    },
    tenants: {
      acme: { hosts: ['acme.example', '*.acme.example'], scope: 'eu', home: 'eu1', policy: 'std' },
      hooli: { hosts: ['hooli.example'], scope: 'us', home: 'us1', policy: 'std' },
      globex: { hosts: ['globex.example'], scope: 'atlantic', home: 'us1', policy: 'std' },
      initech: { hosts: ['initech.example'], scope: 'atlantic', home: 'eu1', policy: 'home' },
      umbrella: { hosts: ['umbrella.example'], scope: 'dach', home: 'eu1', policy: 'std' },
    },
  };
}
