// What one agent says for its site, every two seconds: "this version with this envelope is current,
// and this is what I observe" (H3). The book is what a receiver holds of them: the newest of each
// agent, and which digest each site ever named for a version, because a site that names two for one
// is lying or broken and counts for none (C10, I16).

import * as z from 'zod/mini';
import type { Digest } from '../digest.ts';
import {
  ATTESTATION_BYTES_MAX,
  ATTESTATION_LIFE_MS,
  CLOCK_SKEW_MS,
  SIGHTINGS_PER_SITE_MAX,
} from '../limits.ts';
import { counterSchema, digestSchema, idSchema } from '../schema.ts';
import type { DocumentKind, Verified } from './jws.ts';
import { type Refusal, refuse } from './refusal.ts';
import { isAgentKey, type Trust, type TrustDoc } from './trust.ts';

const msSchema = z.int().check(z.gte(0));

export const observationSchema = z.enum(['up', 'degraded', 'down']);
export type Observation = z.infer<typeof observationSchema>;

export const attestationSchema = z.strictObject({
  kind: z.literal('attestation'),
  cluster: idSchema,
  site: idSchema,
  agent: idSchema,
  /** max(persisted + 1, wall ms): a restart never repeats one. */
  seq: counterSchema,
  issuedAt: msSchema,
  expiresAt: msSchema,
  /** `live`: the head was read since the last attestation. `frozen`: it could not be. */
  mode: z.enum(['live', 'frozen']),
  generation: counterSchema,
  version: counterSchema,
  envelope: digestSchema,
  /** etcd revision of that commit's transaction; equals the version under `control: file`. */
  commitIndex: counterSchema,
  /** Raft term, evidence only; 0 under `control: file`. */
  term: counterSchema,
  observations: z.strictObject({ regions: z.record(idSchema, observationSchema) }),
  /** Utilisation 0..1 of own gateways, by region; measured from Gateway on. */
  load: z.record(idSchema, z.number().check(z.gte(0), z.lte(1))),
});

export type Attestation = z.infer<typeof attestationSchema>;

export const attestationKind: DocumentKind<Attestation> = {
  typ: 'portolan-attestation+json',
  maxBytes: ATTESTATION_BYTES_MAX,
  schema: attestationSchema,
};

export interface HeldAttestation {
  readonly signed: Verified<Attestation>;
  /** The earlier of its expiry and 15 s after receipt, by the receiver's clock. */
  readonly validUntilMs: number;
}

export interface AttestationBook {
  /** Newest by key thumbprint. */
  readonly latest: ReadonlyMap<string, HeldAttestation>;
  /** site -> `generation/version` -> digest, oldest first. */
  readonly sightings: ReadonlyMap<string, ReadonlyMap<string, Digest>>;
  /** Sites that named two digests for one version. */
  readonly equivocators: ReadonlySet<string>;
}

export const EMPTY_BOOK: AttestationBook = {
  latest: new Map(),
  sightings: new Map(),
  equivocators: new Set(),
};

/** Is exactly this document already held? Then its signature need not be checked again. */
export function isHeld(book: AttestationBook, digest: Digest): boolean {
  for (const held of book.latest.values()) if (held.signed.digest === digest) return true;
  return false;
}

/**
 * The book with one more attestation. Refusals: author, role, site, cluster, attestation-life,
 * attestation-clock, attestation-expired, attestation-old.
 */
export function receiveAttestation(
  book: AttestationBook,
  signed: Verified<Attestation>,
  trust: Trust,
  nowMs: number,
): AttestationBook | Refusal {
  const { value } = signed;
  const fault = signerFault(signed, trust) ?? timeFault(value, nowMs);
  if (fault !== null) return fault;
  const kid = signed.kids[0] ?? '';
  const held = book.latest.get(kid);
  // Attack: replaying an older word of an agent to bring back an older version.
  if (held !== undefined && value.seq <= held.signed.value.seq) {
    return refuse('attestation-old', `seq ${value.seq} of ${value.agent}`);
  }
  const validUntilMs = Math.min(value.expiresAt, nowMs + ATTESTATION_LIFE_MS);
  const latest = new Map(book.latest).set(kid, { signed, validUntilMs });
  return { latest, ...sighted(book, value.site, placeOf(value), value.envelope) };
}

/**
 * The book with all of `verified`. Refusals: those of `receiveAttestation`, and `equivocation` for
 * the word by which a site contradicts itself: it counts for none from then on, and a person should
 * look, since the others may be one failure from losing their threshold.
 */
export function receiveAttestations(
  before: AttestationBook,
  verified: readonly Verified<Attestation>[],
  trust: Trust,
  nowMs: number,
): { readonly book: AttestationBook; readonly refused: readonly Refusal[] } {
  const refused: Refusal[] = [];
  let book = before;
  for (const signed of verified) {
    const next = receiveAttestation(book, signed, trust, nowMs);
    if ('code' in next) {
      refused.push(next);
      continue;
    }
    if (next.equivocators.size > book.equivocators.size) {
      const { site, version } = signed.value;
      refused.push(refuse('equivocation', `${site} attests two digests for version ${version}`));
    }
    book = next;
  }
  return { book, refused };
}

/**
 * The book under another trust document: without the words of keys that it does not name. A site
 * that lost a key begins anew, because root keys have looked at it: what a stolen key said must
 * not make a liar of the one that replaces it.
 */
export function bookUnder(
  book: AttestationBook,
  before: TrustDoc,
  after: TrustDoc,
): AttestationBook {
  const changed = new Set<string>();
  for (const [kid, role] of before.roles) {
    if (role.kind === 'agent' && !isAgentKey(after, kid, role.site, role.name)) {
      changed.add(role.site);
    }
  }
  return {
    latest: new Map(
      [...book.latest].filter(([kid, { signed }]) => {
        return isAgentKey(after, kid, signed.value.site, signed.value.agent);
      }),
    ),
    sightings: new Map([...book.sightings].filter(([site]) => !changed.has(site))),
    equivocators: new Set([...book.equivocators].filter((site) => !changed.has(site))),
  };
}

/**
 * One book of two that grew apart under one trust: the newest word of each agent, and all that
 * sites ever said. What they said to one and to the other may contradict itself only together.
 */
export function mergedBooks(own: AttestationBook, other: AttestationBook): AttestationBook {
  let book = own;
  for (const [site, places] of other.sightings) {
    for (const [place, envelope] of places)
      book = { ...book, ...sighted(book, site, place, envelope) };
  }
  const latest = new Map(own.latest);
  for (const [kid, held] of other.latest) {
    const { value } = held.signed;
    // Its sighting may have been let go already; a word that counts is not lost.
    book = { ...book, ...sighted(book, value.site, placeOf(value), value.envelope) };
    const mine = latest.get(kid);
    if (mine === undefined || mine.signed.value.seq < value.seq) latest.set(kid, held);
  }
  const equivocators = new Set([...book.equivocators, ...other.equivocators]);
  return { latest, sightings: book.sightings, equivocators };
}

/** One entry a site that has not contradicted itself: its attestations still valid at `nowMs`. */
export function validBySite(
  book: AttestationBook,
  trust: Trust,
  nowMs: number,
): ReadonlyMap<string, readonly Attestation[]> {
  const bySite = new Map<string, Attestation[]>();
  for (const [kid, { signed, validUntilMs }] of book.latest) {
    const { site, agent } = signed.value;
    if (validUntilMs <= nowMs || book.equivocators.has(site)) continue;
    // Attack: a key that was revoked since it spoke.
    if (!isAgentKey(trust, kid, site, agent)) continue;
    const list = bySite.get(site);
    if (list === undefined) bySite.set(site, [signed.value]);
    else list.push(signed.value);
  }
  return bySite;
}

function signerFault(signed: Verified<Attestation>, trust: Trust): Refusal | null {
  const { value, kids } = signed;
  const [kid, ...others] = kids;
  if (kid === undefined || others.length > 0) return refuse('author', 'one agent attests');
  const role = trust.roles.get(kid);
  if (role?.kind !== 'agent') return refuse('role', `${kid} is not an agent's key`);
  // Attack: a stolen site that speaks in another's name (I16).
  if (role.site !== value.site) return refuse('site', `${role.site} speaks for ${value.site}`);
  if (role.name !== value.agent) return refuse('author', `${role.name} claims ${value.agent}`);
  return value.cluster === trust.cluster ? null : refuse('cluster', value.cluster);
}

function timeFault({ issuedAt, expiresAt }: Attestation, nowMs: number): Refusal | null {
  if (expiresAt <= issuedAt || expiresAt - issuedAt > ATTESTATION_LIFE_MS) {
    return refuse('attestation-life', `${expiresAt - issuedAt} ms; at most ${ATTESTATION_LIFE_MS}`);
  }
  if (issuedAt > nowMs + CLOCK_SKEW_MS) {
    return refuse('attestation-clock', `issued ${issuedAt - nowMs} ms from now`);
  }
  return expiresAt > nowMs ? null : refuse('attestation-expired', `${nowMs - expiresAt} ms ago`);
}

function placeOf({ generation, version }: Attestation): string {
  return `${generation}/${version}`;
}

function sighted(
  book: AttestationBook,
  site: string,
  place: string,
  envelope: Digest,
): Pick<AttestationBook, 'sightings' | 'equivocators'> {
  const seen = book.sightings.get(site);
  const before = seen?.get(place) ?? stillSaid(book, site, place);
  const { sightings, equivocators } = book;
  if (before === envelope) return { sightings, equivocators };
  if (before !== undefined) return { sightings, equivocators: new Set(equivocators).add(site) };
  const next = new Map(seen).set(place, envelope);
  for (const oldest of next.keys()) {
    if (next.size <= SIGHTINGS_PER_SITE_MAX) break;
    next.delete(oldest);
  }
  return { sightings: new Map(sightings).set(site, next), equivocators };
}

/**
 * What an agent of `site` says of a version now; sightings are bounded, words that count are not
 * lost.
 */
function stillSaid({ latest }: AttestationBook, site: string, place: string): Digest | undefined {
  for (const { signed } of latest.values()) {
    const { value } = signed;
    if (value.site === site && placeOf(value) === place) return value.envelope;
  }
  return undefined;
}
