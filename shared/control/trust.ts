// The trust document (C5): who may sign what. It is self-certifying: its own root keys sign it, and
// the first one is pinned out of band (a variable of the Worker, a file of the agent). Every other
// check of control state starts here, so it is strict: one key has one role under one name.

import * as z from 'zod/mini';
import type { Crypto, Hasher } from '../crypto.ts';
import type { Digest } from '../digest.ts';
import { SITES_MAX, TRUST_BYTES_MAX } from '../limits.ts';
import { counterSchema, idSchema } from '../schema.ts';
import { type DocumentKind, decodeJws, type Jws, type Keyring, verifyJws } from './jws.ts';
import { enrol, thumbprint } from './keys.ts';
import { isRefusal, type Refusal, refuse } from './refusal.ts';

const publicKeySchema = z.string();
const keysSchema = z.record(idSchema, publicKeySchema);
const quorumSchema = z.strictObject({
  threshold: z.int().check(z.gte(1)),
  keys: keysSchema,
});

export const trustSchema = z.strictObject({
  kind: z.literal('trust'),
  cluster: idSchema,
  version: counterSchema,
  /** Distinct sites that must agree (C10). */
  threshold: z.int().check(z.gte(1)),
  root: quorumSchema,
  operators: keysSchema,
  approvers: quorumSchema,
  provisioners: keysSchema,
  recovery: quorumSchema,
  sites: z.record(idSchema, z.strictObject({ agents: keysSchema })),
  edges: keysSchema,
});

export type TrustDocument = z.infer<typeof trustSchema>;

export const trustKind: DocumentKind<TrustDocument> = {
  typ: 'portolan-trust+json',
  maxBytes: TRUST_BYTES_MAX,
  schema: trustSchema,
};

export type Role =
  | {
      readonly kind: 'root' | 'operator' | 'approver' | 'provisioner' | 'recovery' | 'edge';
      readonly name: string;
    }
  | { readonly kind: 'agent'; readonly name: string; readonly site: string };

export interface Trust {
  readonly document: TrustDocument;
  readonly digest: Digest;
  readonly jws: Jws;
  readonly cluster: string;
  readonly threshold: number;
  readonly sites: readonly string[];
  readonly roles: ReadonlyMap<string, Role>;
  readonly keys: ReadonlyMap<string, Uint8Array>;
}

/** The keys of one kind of role, for `verifyJws`: any other key is unknown there. */
export function keyringOf(trust: Trust, kind: Role['kind']): Keyring {
  return (kid) => (trust.roles.get(kid)?.kind === kind ? (trust.keys.get(kid) ?? null) : null);
}

/**
 * Reads and verifies the first trust document. Refusals: those of `decodeJws`, and trust-key,
 * trust-shared-key, trust-threshold, trust-signatures, signature, key-unknown.
 */
export async function openTrust(input: unknown, crypto: Crypto): Promise<Trust | Refusal> {
  const decoded = decodeJws(input, trustKind, crypto);
  if (!('claimed' in decoded)) return decoded;
  const document = decoded.claimed;
  const enrolled = enrolKeys(document, crypto);
  if (isRefusal(enrolled)) return enrolled;
  const fault = thresholdFault(document);
  if (fault !== null) return refuse('trust-threshold', fault);
  const { roles, keys } = enrolled;
  const trust: Trust = {
    document,
    digest: decoded.digest,
    jws: decoded.jws,
    cluster: document.cluster,
    threshold: document.threshold,
    sites: Object.keys(document.sites).sort(),
    roles,
    keys,
  };
  // Attack: a document that names its own new keys. Only its root keys may vouch for it.
  const verified = await verifyJws(decoded, keyringOf(trust, 'root'), crypto);
  if ('code' in verified) return verified;
  if (verified.kids.length < document.root.threshold) {
    return refuse(
      'trust-signatures',
      `${verified.kids.length} of ${document.root.threshold} root keys`,
    );
  }
  return trust;
}

/**
 * What a trust document that arrives with a delta means: the one we hold (null), or a newer one.
 * Rotation is not built yet, so a newer document is refused rather than skipped (C4: halt).
 */
export function newerTrust(input: unknown, held: Trust, hasher: Hasher): Refusal | null {
  const decoded = decodeJws(input, trustKind, hasher);
  if (!('claimed' in decoded)) return decoded;
  if (decoded.digest === held.digest) return null;
  return refuse('trust-rotation', `trust ${decoded.claimed.version} is not the one held`);
}

interface Enrolled {
  readonly kind: 'enrolled';
  readonly roles: ReadonlyMap<string, Role>;
  readonly keys: ReadonlyMap<string, Uint8Array>;
}

function enrolKeys(document: TrustDocument, hasher: Hasher): Enrolled | Refusal {
  const roles = new Map<string, Role>();
  const keys = new Map<string, Uint8Array>();
  for (const [x, role] of listed(document)) {
    const key = enrol(x);
    if (!(key instanceof Uint8Array))
      return refuse(key.code, `${role.kind} ${role.name}: ${key.detail}`);
    const kid = thumbprint(x, hasher);
    const other = roles.get(kid);
    // Attack: one stolen key that counts as two. A key has one role under one name.
    if (other !== undefined) {
      return refuse(
        'trust-shared-key',
        `${role.kind} ${role.name} and ${other.kind} ${other.name}`,
      );
    }
    roles.set(kid, role);
    keys.set(kid, key);
  }
  return { kind: 'enrolled', roles, keys };
}

function* listed(document: TrustDocument): Generator<readonly [string, Role]> {
  const groups = [
    ['root', document.root.keys],
    ['operator', document.operators],
    ['approver', document.approvers.keys],
    ['provisioner', document.provisioners],
    ['recovery', document.recovery.keys],
    ['edge', document.edges],
  ] as const;
  for (const [kind, keys] of groups) {
    for (const [name, x] of Object.entries(keys)) yield [x, { kind, name }];
  }
  for (const [site, { agents }] of Object.entries(document.sites)) {
    for (const [name, x] of Object.entries(agents)) yield [x, { kind: 'agent', name, site }];
  }
}

function thresholdFault(document: TrustDocument): string | null {
  const sites = Object.keys(document.sites).length;
  if (sites < 1 || sites > SITES_MAX) return `1 to ${SITES_MAX} sites`;
  // A majority, so that two thresholds always share a site: no two versions are active at once.
  if (document.threshold * 2 <= sites || document.threshold > sites) {
    return `threshold ${document.threshold} is not a majority of ${sites} sites`;
  }
  for (const [site, { agents }] of Object.entries(document.sites)) {
    if (Object.keys(agents).length === 0) return `site ${site} has no agent`;
  }
  for (const name of ['root', 'approvers', 'recovery'] as const) {
    const { threshold, keys } = document[name];
    const count = Object.keys(keys).length;
    if (threshold > count) return `${name}: threshold ${threshold} of ${count} keys`;
  }
  return null;
}
