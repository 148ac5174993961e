// The records of control state and the keys they live under (INTERFACES, "Records and operations").
// Strict: a field this version does not know is refused, never dropped, because what a consumer
// cannot judge it must halt at (C4).

import * as z from 'zod/mini';
import { normalisePath } from '../admission/path.ts';
import { HARD_AGE_S, HOSTS_PER_TENANT_MAX, SITES_MAX, TEMPLATE_SUFFIXES_MAX } from '../limits.ts';
import { counterSchema, idSchema, opIdSchema } from '../schema.ts';

const HOST =
  /^(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const HOST_LENGTH_MAX = 253;

/** Can `name` be the host of a request? A wildcard is a rule and cannot be asked for. */
export function isHostName(name: string): boolean {
  return name.length <= HOST_LENGTH_MAX && !name.startsWith('*') && HOST.test(name);
}

/** A host name in lower case, or a wildcard for one label: `*.acme.example`. */
export const hostSchema = z
  .string()
  .check(z.maxLength(HOST_LENGTH_MAX), z.regex(HOST, 'a host name, or *. and a host name'));

// What every URL parser takes: names whose last label is no number, IPv4, IPv6 in full or
// shortened.
const LABEL = '(?!xn--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const NAME = `(?:${LABEL}\\.)*(?=[a-z])${LABEL}`;
const BYTE = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const IPV4 = `${BYTE}(?:\\.${BYTE}){3}`;
const IPV6 =
  '\\[(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){7}|(?:[0-9a-f]{1,4}:){1,6}:|::[0-9a-f]{1,4})\\]';
const ORIGIN = new RegExp(`^https://(?:${NAME}|${IPV4}|${IPV6})(?::([1-9][0-9]{0,4}))?$`);
const PORT_MAX = 65_535;

function isOrigin(url: string): boolean {
  const found = ORIGIN.exec(url);
  return found !== null && Number(found[1] ?? 0) <= PORT_MAX;
}

/** Only what a request's path can look like ever matches it. */
function isNormalPath(path: string): boolean {
  return normalisePath(path) === path && !/[?#]/.test(path);
}

function sortedSet(values: readonly string[]): boolean {
  return values.every((value, i) => i === 0 || (values[i - 1] ?? '') < value);
}

const SORTED = 'sorted, without duplicates';
const idSet = z.array(idSchema).check(z.minLength(1), z.refine(sortedSet, SORTED));

const latitude = z.number().check(z.gte(-90), z.lte(90));
const longitude = z.number().check(z.gte(-180), z.lte(180));

export const regionSiteSchema = z.strictObject({
  region: z.literal(true),
  /** Epochs of homes here are congruent to it modulo 64 (F1); never reused. */
  slot: z.int().check(z.gte(1), z.lt(SITES_MAX)),
  /** [latitude, longitude] in degrees. */
  at: z.tuple([latitude, longitude]),
  gateway: z.string().check(z.refine(isOrigin, 'https://host[:port], no path')),
  /** Relative to the other regions, in any unit. */
  capacity: z.int().check(z.gte(1), z.lte(1_000_000)),
  zones: idSet,
});

export const siteSchema = z.discriminatedUnion('region', [
  regionSiteSchema,
  z.strictObject({ region: z.literal(false) }),
]);

const countrySchema = z.string().check(z.regex(/^[A-Z]{2}$/, 'two capital letters'));

export const scopeSchema = z.strictObject({
  regions: idSet,
  /** Countries whose requests the edge may handle (S3). */
  ingress: z.union([
    z.literal('any'),
    z.strictObject({
      countries: z.array(countrySchema).check(z.minLength(1), z.refine(sortedSet, SORTED)),
    }),
  ]),
});

const ageS = (most: number) => z.int().check(z.gte(1), z.lte(most));

export const policySchema = z.strictObject({
  replicaReads: z.boolean(),
  mode: z.literal('enforce'),
  hardAgeS: z.strictObject({
    write: ageS(HARD_AGE_S.write.max),
    read: ageS(HARD_AGE_S.read.max),
    revocation: ageS(HARD_AGE_S.revocation.max),
  }),
  slowStartS: z.int().check(z.gte(0), z.lte(600)),
  /** Paths at or below one of these are of class `session`, whatever the method. */
  sessionPaths: z.array(z.string().check(z.refine(isNormalPath, 'a path in normal form'))),
});

/** Measured round trips in ms from one Cloudflare location (colo) to regions. */
export const latencySchema = z.record(idSchema, z.int().check(z.gte(0), z.lte(10_000)));

/** First and second store of one Cloudflare location (E1), or of `otherwise`. */
export const storesSchema = z.array(idSchema).check(z.minLength(1), z.maxLength(2));

const prioritySchema = z.int().check(z.gte(0), z.lte(9));

export const tenantSchema = z
  .strictObject({
    hosts: z
      .array(hostSchema)
      .check(z.minLength(1), z.maxLength(HOSTS_PER_TENANT_MAX), z.refine(sortedSet, SORTED)),
    scope: idSchema,
    policy: idSchema,
    /** 0 is shed last (S8). */
    priority: prioritySchema,
    /** Provisioners may suspend and retire it (C3). */
    template: z.exactOptional(idSchema),
    /** Nothing of it is served. */
    suspended: z.exactOptional(z.literal(true)),
    /**
     * The opId of the last provisioner's step that touched it. No form of the record comes back, so
     * a step that landed cannot land again after an operator undid what it did.
     */
    step: z.exactOptional(opIdSchema),
  })
  .check(
    z.refine(
      ({ template, step }) => step === undefined || template !== undefined,
      'only a tenant with a template has a step',
    ),
  );

/** A domain below which a template gives hosts. */
export const hostSuffixSchema = hostSchema.check(
  z.refine(isHostName, 'a host name without wildcard'),
);

/** What provisioners may make tenants of (C3): everything about them that they may not choose. */
export const templateSchema = z
  .strictObject({
    scope: idSchema,
    policy: idSchema,
    priority: prioritySchema,
    /** Regions that may become a home. */
    homes: idSet,
    /** Hosts are one label or more below one of these. */
    hostSuffixes: z
      .array(hostSuffixSchema)
      .check(z.maxLength(TEMPLATE_SUFFIXES_MAX), z.refine(sortedSet, SORTED)),
    /** Hosts outside the suffixes of every template are allowed too. */
    customHosts: z.boolean(),
    wildcards: z.boolean(),
  })
  .check(
    z.refine(
      ({ hostSuffixes, customHosts }) => customHosts || hostSuffixes.length > 0,
      'no host is allowed: name hostSuffixes, or allow customHosts',
    ),
  );

export const placementSchema = z.strictObject({
  home: idSchema,
  epoch: counterSchema,
  state: z.enum(['ACTIVE', 'DRAINING', 'FENCED', 'PROMOTING']),
});

/** All of `global/…`, one canonical document: `global/<kind>/<id>` is `global[kind][id]`. */
export const globalSchema = z.strictObject({
  sites: z.record(idSchema, siteSchema),
  scopes: z.record(idSchema, scopeSchema),
  policies: z.record(idSchema, policySchema),
  latency: z.record(idSchema, latencySchema),
  stores: z.record(idSchema, storesSchema),
  templates: z.record(idSchema, templateSchema),
});

/** One entry of the tenants' map. Without `tenant` it is retired; its placement stays (F1). */
export const tenantEntrySchema = z.strictObject({
  tenant: z.exactOptional(tenantSchema),
  placement: placementSchema,
});

export type Site = z.infer<typeof siteSchema>;
export type RegionSite = z.infer<typeof regionSiteSchema>;
export type Scope = z.infer<typeof scopeSchema>;
export type Policy = z.infer<typeof policySchema>;
export type Tenant = z.infer<typeof tenantSchema>;
export type Template = z.infer<typeof templateSchema>;
export type Placement = z.infer<typeof placementSchema>;
export type Global = z.infer<typeof globalSchema>;
export type GlobalKind = keyof Global;
export type TenantEntry = z.infer<typeof tenantEntrySchema>;

export const EMPTY_GLOBAL: Global = {
  sites: {},
  scopes: {},
  policies: {},
  latency: {},
  stores: {},
  templates: {},
};

export const globalKinds = Object.keys(EMPTY_GLOBAL) as readonly GlobalKind[];

export type RecordKey =
  | { readonly kind: 'global'; readonly collection: GlobalKind; readonly id: string }
  | { readonly kind: 'tenant'; readonly id: string }
  | { readonly kind: 'placement'; readonly id: string };

/**
 * `global/<kind>/<id>`, `tenants/<id>/tenant`, `tenants/<id>/placement`; null for anything else.
 */
export function parseKey(key: string): RecordKey | null {
  const [root, second, third, ...rest] = key.split('/');
  if (second === undefined || third === undefined || rest.length > 0) return null;
  if (root === 'global') {
    const collection = globalKinds.find((kind) => kind === second);
    if (collection === undefined || !idSchema.safeParse(third).success) return null;
    return { kind: 'global', collection, id: third };
  }
  if (root !== 'tenants' || !idSchema.safeParse(second).success) return null;
  if (third === 'tenant') return { kind: 'tenant', id: second };
  return third === 'placement' ? { kind: 'placement', id: second } : null;
}
