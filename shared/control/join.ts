// An operator's word that a new agent may start from a place in the chain (INTERFACES, "Joins").
// Without one a new agent would believe whatever history it is shown first.

import * as z from 'zod/mini';
import type { Crypto } from '../crypto.ts';
import { ATTESTATION_BYTES_MAX } from '../limits.ts';
import { counterSchema, digestSchema, idSchema } from '../schema.ts';
import { type DocumentKind, decodeJws, verifyJws } from './jws.ts';
import { type Refusal, refuse } from './refusal.ts';
import { keyringOf, type Trust } from './trust.ts';

export const joinSchema = z
  .strictObject({
    kind: z.literal('join'),
    cluster: idSchema,
    site: idSchema,
    agent: idSchema,
    generation: counterSchema,
    version: counterSchema,
    /**
     * Digest of the envelope at `version`; null for version 0, the state before the first commit.
     */
    envelope: z.nullable(digestSchema),
  })
  .check(
    z.refine(
      ({ version, envelope }) => (version === 0n) === (envelope === null),
      'a version beyond 0 names its envelope',
    ),
  );

export type Join = z.infer<typeof joinSchema>;

export const joinKind: DocumentKind<Join> = {
  typ: 'portolan-join+json',
  maxBytes: ATTESTATION_BYTES_MAX,
  schema: joinSchema,
};

/** Refusals: those of `decodeJws` and `verifyJws`, cluster, site (meant for another agent). */
export async function openJoin(
  input: unknown,
  who: { readonly site: string; readonly agent: string },
  trust: Trust,
  crypto: Crypto,
): Promise<Join | Refusal> {
  const decoded = decodeJws(input, joinKind, crypto);
  if (!('claimed' in decoded)) return decoded;
  const join = await verifyJws(decoded, keyringOf(trust, 'operator'), crypto);
  if ('code' in join) return join;
  const { cluster, site, agent } = join.value;
  if (cluster !== trust.cluster) return refuse('cluster', cluster);
  if (site !== who.site || agent !== who.agent) return refuse('site', `join of ${site}/${agent}`);
  return join.value;
}
