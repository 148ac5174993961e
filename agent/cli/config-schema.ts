// The configuration as an operator writes it (INTERFACES): one schema for reading, for the defaults
// and for the JSON Schema that editors use. It is laxer than the records it leads to: lists may
// stand in any order, and what has a sensible default may be left out. What is written is checked
// as strictly as records are: a field that nobody knows is a misspelt one.

import * as z from 'zod/mini';
import {
  hostSchema,
  hostSuffixSchema,
  policySchema,
  regionSiteSchema,
  templateSchema,
  tenantSchema as tenantRecordSchema,
} from '../../shared/control/record.ts';
import { HARD_AGE_S, HOSTS_PER_TENANT_MAX, TEMPLATE_SUFFIXES_MAX } from '../../shared/limits.ts';
import { idSchema } from '../../shared/schema.ts';

/** Of policy fields: what is believed unless the operator says otherwise. */
const SLOW_START_S = 60;

function distinct(values: readonly unknown[]): boolean {
  return new Set(values).size === values.length;
}

const DISTINCT = 'named twice';
const idsSchema = z.array(idSchema).check(z.minLength(1), z.refine(distinct, DISTINCT));

const { slot, at, gateway, capacity } = regionSiteSchema.shape;

const regionSchema = z.strictObject({
  region: z._default(z.literal(true), true),
  /** 1 to 63, never reused: epochs of homes here are congruent to it. */
  slot,
  /** [latitude, longitude] in degrees. */
  at,
  gateway,
  capacity: z._default(capacity, 100),
  zones: z._default(idsSchema, ['a']),
});

const siteSchema = z.discriminatedUnion('region', [
  regionSchema,
  z.strictObject({ region: z.literal(false) }),
]);

const countrySchema = z.string().check(z.regex(/^[A-Z]{2}$/, 'two capital letters, like DE'));

const scopeSchema = z.strictObject({
  regions: idsSchema,
  ingress: z.union(
    [
      z.literal('any'),
      z.strictObject({
        countries: z.array(countrySchema).check(z.minLength(1), z.refine(distinct, DISTINCT)),
      }),
    ],
    'expected any, or {countries: [DE, …]}',
  ),
});

const { mode, slowStartS, sessionPaths } = policySchema.shape;
const { write, read, revocation } = policySchema.shape.hardAgeS.shape;
const defaultAges = {
  write: HARD_AGE_S.write.default,
  read: HARD_AGE_S.read.default,
  revocation: HARD_AGE_S.revocation.default,
};

const policyConfigSchema = z.strictObject({
  replicaReads: z._default(z.boolean(), false),
  mode: z._default(mode, 'enforce'),
  hardAgeS: z._default(
    z.strictObject({
      write: z._default(write, defaultAges.write),
      read: z._default(read, defaultAges.read),
      revocation: z._default(revocation, defaultAges.revocation),
    }),
    defaultAges,
  ),
  slowStartS: z._default(slowStartS, SLOW_START_S),
  sessionPaths: z._default(sessionPaths, []),
});

const tenantSchema = z.strictObject({
  hosts: z
    .array(hostSchema)
    .check(z.minLength(1), z.maxLength(HOSTS_PER_TENANT_MAX), z.refine(distinct, DISTINCT)),
  scope: idSchema,
  home: idSchema,
  policy: idSchema,
  priority: z._default(z.int().check(z.gte(0), z.lte(9)), 1),
  /** Provisioners may suspend and retire it. */
  template: tenantRecordSchema.shape.template,
  /** true: nothing of it is served; false: it is served again; absent: as it is. */
  suspended: z.exactOptional(z.boolean()),
});

const { priority, customHosts, wildcards } = templateSchema.shape;

/** What provisioners may make tenants of. */
const templateConfigSchema = z.strictObject({
  scope: idSchema,
  policy: idSchema,
  priority: z._default(priority, 1),
  homes: idsSchema,
  hostSuffixes: z._default(
    z
      .array(hostSuffixSchema)
      .check(z.maxLength(TEMPLATE_SUFFIXES_MAX), z.refine(distinct, DISTINCT)),
    [],
  ),
  customHosts: z._default(customHosts, false),
  wildcards: z._default(wildcards, false),
});

const COLO = 'an edge location: three capital letters, like FRA';
const coloSchema = z.string().check(z.regex(/^[A-Z]{3}$/, COLO));
const coloOrOtherwiseSchema = z
  .string()
  .check(z.regex(/^(?:[A-Z]{3}|otherwise)$/, `${COLO}, or otherwise`));

/** Places that Cloudflare knows for a store (E1). */
const storeSchema = z.enum(['wnam', 'enam', 'sam', 'weur', 'eeur', 'apac', 'oc', 'afr', 'me']);

/** Field by field, where rules go on beside a broken one. */
export const fieldSchemas = {
  sites: { region: z._default(z.boolean(), true), slot },
  scopes: scopeSchema.shape,
  tenants: tenantSchema.shape,
  templates: templateConfigSchema.shape,
} as const;

export const recordSchemas = {
  sites: siteSchema,
  scopes: scopeSchema,
  policies: policyConfigSchema,
  tenants: tenantSchema,
  latency: z.record(idSchema, z.int().check(z.gte(0), z.lte(10_000))),
  stores: z.array(storeSchema).check(z.minLength(1), z.maxLength(2), z.refine(distinct, DISTINCT)),
  templates: templateConfigSchema,
} as const;

export const configSchema = z.strictObject({
  cluster: idSchema,
  sites: z.record(idSchema, recordSchemas.sites),
  /** Distinct sites that must agree: a majority. */
  threshold: z.int().check(z.gte(1)),
  scopes: z.record(idSchema, recordSchemas.scopes),
  policies: z.record(idSchema, recordSchemas.policies),
  tenants: z._default(z.record(idSchema, recordSchemas.tenants), {}),
  /** What provisioners may make tenants of: `portolan tenant create`. */
  templates: z._default(z.record(idSchema, recordSchemas.templates), {}),
  /** Measured round trips in ms: edge location -> region. */
  latency: z._default(z.record(coloSchema, recordSchemas.latency), {}),
  /** First and second store of an edge location, and of all others. */
  stores: z._default(z.record(coloOrOtherwiseSchema, recordSchemas.stores), {}),
});

export type Config = z.infer<typeof configSchema>;
export type ConfigInput = z.input<typeof configSchema>;
type Collection = keyof typeof recordSchemas;

export const collections = Object.keys(recordSchemas) as readonly Collection[];

/** JSON Schema (2020-12) of what an operator writes, defaults included. */
export function configJsonSchema(): object {
  return z.toJSONSchema(configSchema, { io: 'input' });
}
