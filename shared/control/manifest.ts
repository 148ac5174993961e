// The manifest: the small document from which every piece of control state at one version can be
// verified (C8). An envelope names its digest, attestations name the envelope's digest, so whoever
// holds a manifest under a threshold of sites can check anything else it is handed.

import * as z from 'zod/mini';
import { parseCanonical } from '../canonical.ts';
import type { Hasher } from '../crypto.ts';
import { type Digest, digestBytes, digestOf } from '../digest.ts';
import { counterSchema, digestSchema, firstIssue, idSchema } from '../schema.ts';
import { type Refusal, refuse } from './refusal.ts';

/** The rules of validity that this code knows (C4). */
export const RULES = 1;

export const manifestSchema = z.strictObject({
  kind: z.literal('manifest'),
  cluster: idSchema,
  generation: counterSchema,
  version: counterSchema,
  lamport: counterSchema,
  /** Rules under which the NEXT commit is judged. */
  rules: z.int(),
  /** Version of the trust document of the newest commit; no later one may stand on an older. */
  trust: counterSchema,
  /** Digest of the manifest before; null in the first one. */
  previous: z.nullable(digestSchema),
  global: digestSchema,
  /** Counts by scope and home, by policy: what a fold needs to judge global changes. */
  usage: digestSchema,
  /** Root of the map host -> tenant id. */
  hosts: digestSchema,
  /** Root of the map tenant id -> records. */
  tenants: digestSchema,
  /** Membership filter of hosts; absent until Traffic. */
  filter: z.null(),
});

export type Manifest = z.infer<typeof manifestSchema>;

export function manifestDigest(manifest: Manifest, hasher: Hasher): Digest {
  return digestOf(manifest, hasher);
}

/** Reads a manifest that was asked for by `digest`. Refusals: digest, malformed, rules. */
export function readManifest(
  bytes: Uint8Array,
  digest: Digest,
  hasher: Hasher,
): Manifest | Refusal {
  if (digestBytes(bytes, hasher) !== digest) return refuse('digest', `not the manifest ${digest}`);
  const parsed = manifestSchema.safeParse(parseCanonical(bytes)?.value);
  if (!parsed.success) return refuse('malformed', firstIssue(parsed.error));
  if (parsed.data.rules !== RULES) return refuse('rules', `rules ${parsed.data.rules}`);
  return parsed.data;
}
