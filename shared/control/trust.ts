// The trust document (C5): who may sign what. It is self-certifying: its own root keys sign it, and
// one of them is pinned out of band (a variable of the Worker, a file of the agent); those before
// and after it are verified from there (`trust-chain.ts`). Every other check of control state
// starts here, so it is strict: one key has one role under one name.

import * as z from 'zod/mini';
import type { Crypto, Hasher } from '../crypto.ts';
import type { Digest } from '../digest.ts';
import { SITES_MAX, TRUST_BYTES_MAX } from '../limits.ts';
import { counterSchema, digestSchema, idSchema } from '../schema.ts';
import {
  type Decoded,
  type DocumentKind,
  decodeJws,
  type Jws,
  type Keyring,
  verifyJws,
} from './jws.ts';
import { enrol, thumbprint } from './keys.ts';
import { isRefusal, type Refusal, refuse } from './refusal.ts';

const publicKeySchema = z.string();
const keysSchema = z.record(idSchema, publicKeySchema);
const quorumSchema = z.strictObject({
  threshold: z.int().check(z.gte(1)),
  keys: keysSchema,
});

export const trustSchema = z
  .strictObject({
    kind: z.literal('trust'),
    cluster: idSchema,
    version: counterSchema,
    /** Digest of the document before; null in version 1. */
    previous: z.nullable(digestSchema),
    /** Distinct sites that must agree (C10). */
    threshold: z.int().check(z.gte(1)),
    root: quorumSchema,
    operators: keysSchema,
    approvers: quorumSchema,
    provisioners: keysSchema,
    recovery: quorumSchema,
    sites: z.record(idSchema, z.strictObject({ agents: keysSchema })),
    edges: keysSchema,
  })
  .check(
    z.refine(({ version }) => version >= 1n, 'the first version is 1'),
    z.refine(
      ({ version, previous }) => (version === 1n) === (previous === null),
      'a version beyond 1 names the one before',
    ),
  );

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

/** One document, its keys by role. */
export interface TrustDoc {
  readonly document: TrustDocument;
  readonly digest: Digest;
  readonly jws: Jws;
  readonly cluster: string;
  readonly threshold: number;
  readonly sites: readonly string[];
  readonly roles: ReadonlyMap<string, Role>;
  readonly keys: ReadonlyMap<string, Uint8Array>;
}

/** The newest document, by which all is judged but commits; those name the one they stand on. */
export interface Trust extends TrustDoc {
  /** Every document that is held, the newest too: versions without a hole, oldest first. */
  readonly held: ReadonlyMap<bigint, TrustDoc>;
}

/** The document of a version, or null when it is not held. */
export function trustAt(trust: Trust, version: bigint): TrustDoc | null {
  return trust.held.get(version) ?? null;
}

/** Is `kid`, by this document, the key of this agent of this site? */
export function isAgentKey(trust: TrustDoc, kid: string, site: string, agent: string): boolean {
  const role = trust.roles.get(kid);
  return role?.kind === 'agent' && role.site === site && role.name === agent;
}

/** The keys of one kind of role, for `verifyJws`: any other key is unknown there. */
export function keyringOf(trust: TrustDoc, kind: Role['kind']): Keyring {
  return (kid) => (trust.roles.get(kid)?.kind === kind ? (trust.keys.get(kid) ?? null) : null);
}

/**
 * Reads and verifies the pinned trust document, of whatever version. Refusals: those of
 * `decodeJws` and `readDocument`, and trust-signatures, signature, key-unknown.
 */
export async function openTrust(input: unknown, crypto: Crypto): Promise<Trust | Refusal> {
  const decoded = decodeJws(input, trustKind, crypto);
  if (!('claimed' in decoded)) return decoded;
  const read = readDocument(decoded, crypto);
  if (isRefusal(read)) return read;
  const own = keyringOf(read, 'root');
  const { version, root } = read.document;
  // The root keys of the document before sign a later one too; here nobody can judge them.
  const signatures = decoded.signatures.filter(({ kid }) => version === 1n || own(kid) !== null);
  // Attack: a document that names its own new keys. Only its root keys may vouch for it.
  const verified = await verifyJws({ ...decoded, signatures }, own, crypto);
  if ('code' in verified) return verified;
  if (verified.kids.length < root.threshold) {
    return refuse('trust-signatures', `${verified.kids.length} of ${root.threshold} root keys`);
  }
  return { ...read, held: new Map([[version, read]]) };
}

/**
 * What a document says, whoever signed it. Refusals: trust-key, trust-shared-key,
 * trust-threshold.
 */
export function readDocument(
  { claimed: document, digest, jws }: Omit<Decoded<TrustDocument>, 'signatures'>,
  hasher: Hasher,
): TrustDoc | Refusal {
  const enrolled = enrolKeys(document, hasher);
  if (isRefusal(enrolled)) return enrolled;
  const fault = thresholdFault(document);
  if (fault !== null) return refuse('trust-threshold', fault);
  const { cluster, threshold } = document;
  const { roles, keys } = enrolled;
  const sites = Object.keys(document.sites).sort();
  return { document, digest, jws, cluster, threshold, sites, roles, keys };
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
