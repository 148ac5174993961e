// A delta: what a sender hands to a receiver at once (INTERFACES, "Ingest"): trust documents,
// consecutive commits, attestations, and the sender's signature over the digest of all that. The
// signature says who spends our time, not what is true: every piece is judged by its own.

import * as z from 'zod/mini';
import { canonicalBytes, parseJson, toWire, utf8Length } from '../canonical.ts';
import type { Crypto, Hasher, Signer } from '../crypto.ts';
import { type Digest, digestBytes } from '../digest.ts';
import {
  ATTESTATION_BYTES_MAX,
  ATTESTATIONS_PER_DELTA_MAX,
  COMMITS_PER_DELTA_MAX,
  DELTA_BYTES_MAX,
  TRUST_PER_DELTA_MAX,
} from '../limits.ts';
import { digestSchema, firstIssue, idSchema } from '../schema.ts';
import { type DocumentKind, decodeJws, type Jws, signJws, verifyJws } from './jws.ts';
import { type PROTOCOL, protocolFault } from './protocol.ts';
import { type Refusal, refuse } from './refusal.ts';
import { keyringOf, type Trust } from './trust.ts';
import { adoptTrust } from './trust-chain.ts';

export interface Delta {
  readonly v: typeof PROTOCOL;
  readonly trust: readonly Jws[];
  readonly commits: readonly Jws[];
  readonly attestations: readonly Jws[];
}

// Loose: a sender of the next version may add members (E1); they are signed for, and ignored here.
// What comes after the first version must have a default: a sender of the one before has none.
export const deltaSchema = z.looseObject({
  v: z.int(),
  trust: z.array(z.unknown()).check(z.maxLength(TRUST_PER_DELTA_MAX)),
  commits: z.array(z.unknown()).check(z.maxLength(COMMITS_PER_DELTA_MAX)),
  attestations: z.array(z.unknown()).check(z.maxLength(ATTESTATIONS_PER_DELTA_MAX)),
  sender: z.unknown(),
});

const senderSchema = z.strictObject({
  kind: z.literal('delta'),
  cluster: idSchema,
  site: idSchema,
  agent: idSchema,
  digest: digestSchema,
});

const senderKind: DocumentKind<z.infer<typeof senderSchema>> = {
  typ: 'portolan-delta+json',
  maxBytes: ATTESTATION_BYTES_MAX,
  schema: senderSchema,
};

export interface OpenedDelta {
  readonly kind: 'delta';
  readonly sender: { readonly site: string; readonly agent: string };
  /** What is held and what the delta brought of trust: adopted before the rest is judged. */
  readonly trust: Trust;
  /** Trust documents that were not taken; they stop nothing else. */
  readonly refused: readonly Refusal[];
  readonly commits: readonly unknown[];
  readonly attestations: readonly unknown[];
}

/** The ingest body, signed by its sender. */
export async function sealDelta(
  delta: Delta,
  from: { readonly cluster: string; readonly site: string; readonly agent: string },
  signer: Signer,
  hasher: Hasher,
): Promise<string> {
  const claim = { kind: 'delta', ...from, digest: digestRest(delta, hasher) };
  const sender = await signJws(senderKind.typ, claim, [signer]);
  return JSON.stringify({ ...(toWire(delta) as object), sender });
}

/**
 * C9 up to the sender: bounds, encoding, trust, sender's signature and role, cluster. The sender is
 * judged by the trust that it brings, so that a receiver which has just started knows rotated keys;
 * what a refused sender brings is not adopted. Refusals: too-large, malformed, encoding,
 * version-unsupported, algorithm, key-unknown, signature, sender, cluster.
 */
export async function openDelta(
  text: string,
  held: Trust,
  crypto: Crypto,
): Promise<OpenedDelta | Refusal> {
  if (text.length > DELTA_BYTES_MAX || utf8Length(text) > DELTA_BYTES_MAX) {
    return refuse('too-large', `a delta takes ${DELTA_BYTES_MAX} bytes`);
  }
  const json = parseJson(text);
  if (json === null) return refuse('malformed', 'not JSON');
  const fault = protocolFault(json.value);
  if (fault !== null) return fault;
  const parsed = deltaSchema.safeParse(json.value);
  if (!parsed.success) return refuse('malformed', firstIssue(parsed.error));
  const { sender: jws, ...rest } = parsed.data;
  const { trust, refused } = await adoptTrust(held, rest.trust, crypto);
  const decoded = decodeJws(jws, senderKind, crypto);
  if (!('claimed' in decoded)) return decoded;
  const sender = await verifyJws(decoded, keyringOf(trust, 'agent'), crypto);
  if ('code' in sender) return sender;
  const role = trust.roles.get(sender.kids[0] ?? '');
  const { site, agent, cluster, digest } = sender.value;
  if (role?.kind !== 'agent' || role.site !== site || role.name !== agent) {
    return refuse('sender', `the key is not that of ${site}/${agent}`);
  }
  if (cluster !== trust.cluster) return refuse('cluster', cluster);
  if (digest !== digestRest(rest, crypto)) return refuse('sender', 'signed for another body');
  const { commits, attestations } = rest;
  return { kind: 'delta', sender: { site, agent }, trust, refused, commits, attestations };
}

function digestRest(rest: unknown, hasher: Hasher): Digest {
  return digestBytes(canonicalBytes(rest), hasher);
}
