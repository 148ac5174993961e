// Records (INTERFACES, "Records and operations"): strict, because what a consumer cannot judge it
// must halt at (C4), and what it cannot use must never be committed (C7).

import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  EMPTY_GLOBAL,
  globalSchema,
  hostSchema,
  latencySchema,
  parseKey,
  placementSchema,
  policySchema,
  regionSiteSchema,
  scopeSchema,
  siteSchema,
  storesSchema,
  tenantEntrySchema,
  tenantSchema,
} from '../../../shared/control/record.ts';
import { HARD_AGE_S, HOSTS_PER_TENANT_MAX } from '../../../shared/limits.ts';
import { idSchema } from '../../../shared/schema.ts';
import { SEED } from '../forge.ts';

interface Schema {
  safeParse(value: unknown): { readonly success: boolean };
}

function takes(schema: Schema, value: unknown): boolean {
  return schema.safeParse(value).success;
}

const REGION = {
  region: true,
  slot: 1,
  at: [50.11, 8.68],
  gateway: 'https://gw.eu1.example',
  capacity: 100,
  zones: ['a', 'b'],
};
const SCOPE = { regions: ['eu1', 'us1'], ingress: 'any' };
const POLICY = {
  replicaReads: true,
  mode: 'enforce',
  hardAgeS: { write: 60, read: 300, revocation: 60 },
  slowStartS: 60,
  sessionPaths: ['/session'],
};
const TENANT = { hosts: ['acme.example'], scope: 'eu', policy: 'std', priority: 1 };
const PLACEMENT = { home: 'eu1', epoch: '1', state: 'ACTIVE' };

const WHOLE: readonly (readonly [string, Schema, Record<string, unknown>])[] = [
  ['region', regionSiteSchema, REGION],
  ['site', siteSchema, REGION],
  ['witness', siteSchema, { region: false }],
  ['scope', scopeSchema, SCOPE],
  ['policy', policySchema, POLICY],
  ['tenant', tenantSchema, TENANT],
  ['placement', placementSchema, PLACEMENT],
  ['tenant entry', tenantEntrySchema, { tenant: TENANT, placement: PLACEMENT }],
  ['global', globalSchema, EMPTY_GLOBAL],
];

test.each(WHOLE)('a %s is taken as it is written', (_name, schema, value) => {
  expect(takes(schema, value)).toBe(true);
});

test.each(WHOLE)('a %s with a field of a later version is refused (C4)', (_name, schema, value) => {
  expect(takes(schema, { ...value, later: null })).toBe(false);
  const own = JSON.parse(`{"__proto__":{"later":1},${JSON.stringify(value).slice(1)}`);
  expect(takes(schema, own)).toBe(false);
});

test.each(WHOLE)('a %s without one of its fields is refused', (name, schema, value) => {
  const optional = name === 'tenant entry' ? ['tenant'] : [];
  for (const field of Object.keys(value).filter((key) => !optional.includes(key))) {
    const rest = Object.fromEntries(Object.entries(value).filter(([key]) => key !== field));
    expect([field, takes(schema, rest)]).toEqual([field, false]);
  }
});

test('a retired tenant keeps its placement alone (F1)', () => {
  expect(takes(tenantEntrySchema, { placement: PLACEMENT })).toBe(true);
  expect(takes(tenantEntrySchema, { tenant: undefined, placement: PLACEMENT })).toBe(false);
  expect(takes(tenantEntrySchema, { tenant: null, placement: PLACEMENT })).toBe(false);
});

const label63 = 'a'.repeat(63);
/** 253 characters: three labels of 63, one of 61, three dots. */
const name253 = `${label63}.${label63}.${label63}.${'a'.repeat(61)}`;

const HOST = {
  taken: [
    'acme.example',
    '*.acme.example',
    'a.b',
    'ab.cd',
    'xn--bcher-kva.example',
    '1.2.3.example',
    `${label63}.example`,
    name253,
  ],
  refused: [
    '',
    'acme',
    'Acme.example',
    'acme.example.',
    '.acme.example',
    'acme..example',
    '*',
    '*.example',
    'a.*.example',
    '*.*.example',
    '**.acme.example',
    '*acme.example',
    '-a.example',
    'a-.example',
    'a_b.example',
    'acme.example:443',
    'acme.example/x',
    'acme.example\n',
    'bücher.example',
    `a${label63}.example`,
    `a${name253}`,
  ],
};

test.each(HOST.taken)('host %j is taken', (host) => {
  expect(takes(hostSchema, host)).toBe(true);
});

test.each(HOST.refused)('host %j is refused', (host) => {
  expect(takes(hostSchema, host)).toBe(false);
});

/** Every object inherits the last two refused. */
const ID = {
  taken: ['a', '0', 'eu-central-1', label63],
  refused: [
    `a${label63}`,
    '',
    '-a',
    'a-',
    'Eu1',
    'eu_1',
    'eu.1',
    'eu/1',
    'eu1\n',
    '__proto__',
    'constructor',
  ],
};

test.each(ID.taken)('id %j is taken', (id) => {
  expect(takes(idSchema, id)).toBe(true);
});

test.each(ID.refused)('id %j is refused', (id) => {
  expect(takes(idSchema, id)).toBe(false);
});

const GATEWAY = {
  taken: [
    'https://gw.eu1.example',
    'https://gw.eu1.example:8443',
    'https://127.0.0.1:8443',
    'https://[::1]:8443',
  ],
  refused: [
    'http://gw.eu1.example',
    'https://',
    'https://gw.eu1.example/',
    'https://gw.eu1.example/path',
    'https://gw.eu1.example?x',
    'https://user@gw.eu1.example',
    'https://GW.eu1.example',
    'https://gw.eu1.example ',
  ],
};

test.each(GATEWAY.taken)('gateway %j is taken', (gateway) => {
  expect(takes(regionSiteSchema, { ...REGION, gateway })).toBe(true);
});

test.each(GATEWAY.refused)('gateway %j is refused', (gateway) => {
  expect(takes(regionSiteSchema, { ...REGION, gateway })).toBe(false);
});

test.each([
  'https://[',
  'https://[gw]',
  'https://gw.eu1.example:99999',
  'https://gw.eu1.example:80:80',
  'https://:443',
])('gateway %j is refused: an edge could not make a request of it (C7)', (gateway) => {
  expect(takes(regionSiteSchema, { ...REGION, gateway })).toBe(false);
});

test('law: every gateway that is taken is a URL', () => {
  const piece = fc.constantFrom(
    'gw',
    '.',
    '-',
    ':',
    '[',
    ']',
    '1',
    '255',
    '999',
    '443',
    'xn--',
    'f',
  );
  const gateways = fc.array(piece, { minLength: 1, maxLength: 6 }).map((some) => some.join(''));
  fc.assert(
    fc.property(gateways, (host) => {
      const gateway = `https://${host}`;
      if (takes(regionSiteSchema, { ...REGION, gateway })) {
        expect([gateway, URL.canParse(gateway)]).toEqual([gateway, true]);
      }
    }),
    { seed: SEED, numRuns: 2_000 },
  );
});

test.each([
  ['slot', [1, 63], [0, 64, 1.5, '1']],
  ['capacity', [1, 1_000_000], [0, 1_000_001, 0.5]],
  ['zones', [['a'], ['a', 'b']], [[], ['b', 'a'], ['a', 'a'], ['A']]],
  [
    'at',
    [
      [90, 180],
      [-90, -180],
    ],
    [[90.1, 0], [0, 180.1], [-90.1, 0], [0, -180.1], [1], [1, 2, 3]],
  ],
  ['region', [true], [1, 'true', null]],
])('region: %s just inside and just outside its bounds', (field, good, bad) => {
  for (const value of good) expect(takes(siteSchema, { ...REGION, [field]: value })).toBe(true);
  for (const value of bad) {
    expect([value, takes(siteSchema, { ...REGION, [field]: value })]).toEqual([value, false]);
  }
});

test('a witness has no field of a region (I9: it holds nothing)', () => {
  expect(takes(siteSchema, { ...REGION, region: false })).toBe(false);
});

test.each([
  ['regions', [['eu1']], [[], ['us1', 'eu1'], ['eu1', 'eu1'], ['constructor'], 'eu1']],
  [
    'ingress',
    ['any', { countries: ['DE'] }, { countries: ['DE', 'FR'] }],
    [
      'none',
      'regional',
      { countries: [] },
      { countries: ['de'] },
      { countries: ['DEU'] },
      { countries: ['FR', 'DE'] },
      { countries: ['DE', 'DE'] },
      { countries: ['DE'], also: 1 },
    ],
  ],
])('scope: %s (no scope is empty, C7)', (field, good, bad) => {
  for (const value of good) expect(takes(scopeSchema, { ...SCOPE, [field]: value })).toBe(true);
  for (const value of bad) {
    expect([value, takes(scopeSchema, { ...SCOPE, [field]: value })]).toEqual([value, false]);
  }
});

test.each(['write', 'read', 'revocation'] as const)('hard age of %s: 1 to its maximum', (age) => {
  const withAge = (seconds: number) => ({
    ...POLICY,
    hardAgeS: { ...POLICY.hardAgeS, [age]: seconds },
  });
  const { max } = HARD_AGE_S[age];
  expect([1, max].map((s) => takes(policySchema, withAge(s)))).toEqual([true, true]);
  expect([0, max + 1, 1.5].map((s) => takes(policySchema, withAge(s)))).toEqual([
    false,
    false,
    false,
  ]);
});

test.each([
  ['slowStartS', [0, 600], [-1, 601, 0.5]],
  ['mode', ['enforce'], ['observe', 'off']],
  ['replicaReads', [true, false], ['true', 1, null]],
  ['sessionPaths', [[], ['/'], ['/a/b']], [['a'], ['/a?b'], ['/a#b'], ['']]],
])('policy: %s', (field, good, bad) => {
  for (const value of good) expect(takes(policySchema, { ...POLICY, [field]: value })).toBe(true);
  for (const value of bad) {
    expect([value, takes(policySchema, { ...POLICY, [field]: value })]).toEqual([value, false]);
  }
});

// A path is normalised before it is classed. A rule written in another form would never match, and
// its sessions would be served as reads, by replicas (S3, S7).
test.each(['/%63art', '/caf%c3%a9', '/café', '/a/../b', '/a b', '/a%', '/a\\b'])(
  'session path %j, which no normalised path can match, is refused (C7)',
  (path) => {
    expect(takes(policySchema, { ...POLICY, sessionPaths: [path] })).toBe(false);
  },
);

test('a tenant has 1 to 100 hosts, sorted, each once', () => {
  const hosts = Array.from({ length: HOSTS_PER_TENANT_MAX + 1 }, (_, i) => {
    return `h${String(i).padStart(3, '0')}.example`;
  });
  const withHosts = (some: readonly string[]) => takes(tenantSchema, { ...TENANT, hosts: some });
  expect(withHosts(hosts.slice(1))).toBe(true);
  expect(withHosts(hosts)).toBe(false);
  expect(withHosts([])).toBe(false);
  expect(withHosts(['b.example', 'a.example'])).toBe(false);
  expect(withHosts(['a.example', 'a.example'])).toBe(false);
});

const PRIORITY = {
  taken: [0, 9],
  refused: [10, -1, 0.5],
};

test.each(PRIORITY.taken)('priority %j is taken', (priority) => {
  expect(takes(tenantSchema, { ...TENANT, priority })).toBe(true);
});

test.each(PRIORITY.refused)('priority %j is refused', (priority) => {
  expect(takes(tenantSchema, { ...TENANT, priority })).toBe(false);
});

/** 64-bit numbers are decimal strings (C8). */
const EPOCH = {
  taken: ['0', '1', '9223372036854775807'],
  refused: ['9223372036854775808', '1'.repeat(20), '01', '-1', '+1', '1.0', '', 1],
};

test.each(EPOCH.taken)('epoch %j is taken', (epoch) => {
  expect(takes(placementSchema, { ...PLACEMENT, epoch })).toBe(true);
});

test.each(EPOCH.refused)('epoch %j is refused', (epoch) => {
  expect(takes(placementSchema, { ...PLACEMENT, epoch })).toBe(false);
});

test.each(['active', 'CLOSED', '', null])('placement state %j is refused', (state) => {
  expect(takes(placementSchema, { ...PLACEMENT, state })).toBe(false);
});

test('round trips are 0 to 10,000 whole ms, stores one or two', () => {
  expect([0, 10_000].map((ms) => takes(latencySchema, { eu1: ms }))).toEqual([true, true]);
  expect([-1, 10_001, 1.5].map((ms) => takes(latencySchema, { eu1: ms }))).toEqual([
    false,
    false,
    false,
  ]);
  const stores = [[], ['enam'], ['enam', 'weur'], ['enam', 'weur', 'apac']];
  expect(stores.map((some) => takes(storesSchema, some))).toEqual([false, true, true, false]);
});

test.each([
  ['global/sites/eu1', { kind: 'global', collection: 'sites', id: 'eu1' }],
  ['global/stores/otherwise', { kind: 'global', collection: 'stores', id: 'otherwise' }],
  ['tenants/acme/tenant', { kind: 'tenant', id: 'acme' }],
  ['tenants/acme/placement', { kind: 'placement', id: 'acme' }],
  ['', null],
  ['global', null],
  ['global/sites', null],
  ['global/sites/', null],
  ['global/sites/eu1/', null],
  ['/global/sites/eu1', null],
  ['global/site/eu1', null],
  ['global/constructor/eu1', null],
  ['global/__proto__/eu1', null],
  ['global/sites/__proto__', null],
  ['global/sites/constructor', null],
  ['global/sites/EU1', null],
  ['global/sites/eu1\n', null],
  ['tenants/acme', null],
  ['tenants/acme/lease', null],
  ['tenants/constructor/tenant', null],
  ['tenants/__proto__/tenant', null],
  ['tenants//tenant', null],
  ['tenants/../tenant', null],
  ['head', null],
  ['commits/1', null],
])('key %j', (key, parsed) => {
  expect(parseKey(key)).toEqual(parsed);
});
