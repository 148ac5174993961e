// The head: what a store hands to isolates. The newest commits with their manifests, and the
// attestations that make one of them active. An isolate does not fold: it checks the author, the
// chain, the manifests' digests and a threshold of sites, and loads pieces of state as it needs
// them (C8). So a head is some kilobytes, whatever the number of tenants.

import * as z from 'zod/mini';
import { canonical, parseJson, toWire, utf8, utf8Length } from '../canonical.ts';
import type { Crypto } from '../crypto.ts';
import {
  ATTESTATIONS_PER_DELTA_MAX,
  DELTA_BYTES_MAX,
  HEAD_COMMITS_MAX,
  TRUST_PER_DELTA_MAX,
} from '../limits.ts';
import { firstIssue } from '../schema.ts';
import type { Place } from './answer.ts';
import { EMPTY_BOOK, mergedBooks, receiveAttestations } from './attestation.ts';
import { authorFault } from './author.ts';
import { type Chain, compareVersions, type Link, linkOf, newest } from './chain.ts';
import { envelopeKind } from './envelope.ts';
import { activated, type Holder, trusting, verifyAttestations, verifyCommit } from './holder.ts';
import { decodeJws } from './jws.ts';
import { readManifest } from './manifest.ts';
import { PROTOCOL, protocolFault } from './protocol.ts';
import { type Refusal, refuse } from './refusal.ts';
import { type Trust, trustAt } from './trust.ts';
import { adoptTrust, carriedTrust } from './trust-chain.ts';

/** What an isolate holds: a holder without the folded state. */
export type Mirror = Omit<Holder, 'state'>;

// Loose: the store may be one version ahead of the isolate's Worker (E1). What comes after the
// first version must have a default: the store may be one behind.
const headSchema = z.looseObject({
  v: z.int(),
  trust: z._default(z.array(z.unknown()).check(z.maxLength(TRUST_PER_DELTA_MAX)), []),
  commits: z
    .array(z.looseObject({ jws: z.unknown(), manifest: z.unknown() }))
    .check(z.maxLength(HEAD_COMMITS_MAX)),
  attestations: z.array(z.unknown()).check(z.maxLength(ATTESTATIONS_PER_DELTA_MAX)),
});

/**
 * The head document of a full holder, as text: from what is active on, as far as the bounds reach.
 * An isolate needs the active commit first, then those that sites name. Nothing below `floor` is
 * offered (E5): words from before, replayed to a holder that has just started, would bring it back.
 */
export function writeHead(holder: Holder, floor: Place | null = null): string {
  const { chain, book, active } = holder;
  const links = withinBytes(offered(chain, active, floor));
  const commits = links.map(({ jws, manifest }) => ({
    jws,
    manifest: toWire(manifest),
  }));
  const newestWords = [...book.latest.values()].slice(-ATTESTATIONS_PER_DELTA_MAX);
  const attestations = newestWords.map(({ signed }) => signed.jws);
  const trust = carriedTrust(holder.trust);
  return JSON.stringify({ v: PROTOCOL, trust, commits, attestations });
}

export interface AdoptedHead {
  readonly kind: 'adopted';
  readonly mirror: Mirror;
  /** Attestations and trust documents that were not taken, for the counters. */
  readonly refused: readonly Refusal[];
}

/**
 * Verifies a head and takes what is new in it. Nothing of it is taken when any commit is refused:
 * too-large, malformed, encoding, version-unsupported, cluster, trust-missing, trust-old, digest,
 * rules, manifest, previous, gap, equivocation, and those of `verifyAuthor` and `authorFault`.
 */
export async function adoptHead(
  before: Mirror,
  text: string,
  nowMs: number,
  crypto: Crypto,
): Promise<AdoptedHead | Refusal> {
  if (text.length > DELTA_BYTES_MAX || utf8Length(text) > DELTA_BYTES_MAX) {
    return refuse('too-large', `a head takes ${DELTA_BYTES_MAX} bytes`);
  }
  const json = parseJson(text)?.value;
  const fault = protocolFault(json);
  if (fault !== null) return fault;
  const parsed = headSchema.safeParse(json);
  if (!parsed.success) return refuse('malformed', firstIssue(parsed.error));
  const { commits, attestations } = parsed.data;
  // Trust first: by it is judged who may have said the rest (C5).
  const adopted = await adoptTrust(before.trust, parsed.data.trust, crypto);
  const mirror = trusting(before, adopted.trust);
  const links: Link[] = [];
  for (const commit of commits) {
    const link = await readLink(mirror, commit, crypto);
    if ('code' in link) return link;
    links.push(link);
  }
  const chain = joined(mirror, links);
  if ('code' in chain) return chain;
  const { trust } = mirror;
  const { verified, refused } = await verifyAttestations(mirror.book, attestations, trust, crypto);
  const received = receiveAttestations(mirror.book, verified, trust, nowMs);
  return {
    kind: 'adopted',
    mirror: activated({ ...mirror, chain, book: received.book }, nowMs),
    refused: [...adopted.refused, ...refused, ...received.refused],
  };
}

/**
 * What was `adopted` onto `before`, with what has come to be `held` meanwhile: a newer head, newer
 * words, newer trust. Nothing goes back, and no word is forgotten.
 */
export function reconciled(adopted: Mirror, before: Mirror, held: Mirror, nowMs: number): Mirror {
  const [own, other] = [trusting(adopted, held.trust), trusting(held, adopted.trust)];
  const next = isOlder(own, other) ? other : own;
  // Words alone say nothing about commits.
  const isSilent = adopted.chain === before.chain && isIn(held.chain, next.active);
  const chain = isSilent ? held.chain : next.chain;
  return activated({ ...next, chain, book: mergedBooks(own.book, other.book) }, nowMs);
}

/** By version, then by how lately a threshold supported it. */
function isOlder(next: Mirror, held: Mirror): boolean {
  if (held.active === null) return false;
  if (next.active === null) return true;
  const order = compareVersions(next.active, held.active);
  return order < 0 || (order === 0 && next.freshAtMs < held.freshAtMs);
}

function isIn(chain: Chain, active: Link | null): boolean {
  return active === null || chain.some(({ digest }) => digest === active.digest);
}

async function readLink(
  mirror: Mirror,
  { jws, manifest: wire }: { jws: unknown; manifest: unknown },
  crypto: Crypto,
): Promise<Link | Refusal> {
  const { trust, chain } = mirror;
  const decoded = decodeJws(jws, envelopeKind, crypto);
  if (!('claimed' in decoded)) return decoded;
  const { claimed, digest } = decoded;
  const held = chain.find((link) => link.digest === digest);
  if (held !== undefined) return held;
  if (claimed.cluster !== trust.cluster) return refuse('cluster', claimed.cluster);
  const envelope = await verifyCommit(decoded, trust, crypto);
  if ('code' in envelope) return envelope;
  const under = trustAt(trust, claimed.trust);
  if (under === null) return refuse('trust-missing', `trust ${claimed.trust} is not held`);
  const fault = authorFault(envelope, under);
  if (fault !== null) return fault;
  const manifest = readManifest(utf8(canonical(wire ?? null)), claimed.manifest, crypto);
  if ('code' in manifest) return manifest;
  const matches =
    manifest.cluster === claimed.cluster &&
    manifest.generation === claimed.generation &&
    manifest.version === claimed.version &&
    manifest.lamport === claimed.lamport &&
    manifest.trust === claimed.trust;
  return matches ? linkOf(envelope, manifest) : refuse('manifest', `${claimed.version}`);
}

function offered(chain: Chain, active: Link | null, floor: Place | null): readonly Link[] {
  const known = floor === null ? chain : chain.filter((link) => compareVersions(link, floor) >= 0);
  const from = known.findIndex((link) => link.digest === active?.digest);
  // What is active is not known yet: the newest, which sites name.
  return from < 0 && floor === null
    ? known.slice(-HEAD_COMMITS_MAX)
    : known.slice(Math.max(from, 0)).slice(0, HEAD_COMMITS_MAX);
}

/** The first of `links` that fit half of what an isolate takes; one at least. */
function withinBytes(links: readonly Link[]): readonly Link[] {
  let bytes = 0;
  const end = links.findIndex(({ jws }) => {
    bytes += jws.payload.length;
    return bytes > DELTA_BYTES_MAX / 2;
  });
  return end < 0 ? links : links.slice(0, Math.max(1, end));
}

/** The chain with `links`: what is active is fixed, what is beyond it follows the newest word. */
function joined({ chain, active }: Mirror, links: readonly Link[]): Chain | Refusal {
  for (const [i, link] of links.entries()) {
    const before = links[i - 1];
    if (before === undefined) continue;
    if (link.version !== before.version + 1n) return refuse('gap', `${link.version}`);
    const { previous } = link.manifest;
    if (link.previous !== before.digest || previous !== before.manifestDigest) {
      return refuse('previous', `${link.version}`);
    }
    if (link.manifest.trust < before.manifest.trust) return refuse('trust-old', `${link.version}`);
  }
  const head = newest(links);
  if (head === null || active === null) return head === null ? chain : links;
  const later = head.generation === active.generation && head.version >= active.version;
  // Attack: an old cache entry or store. Its attestations may still be news, its commits are not.
  if (!later) return chain;
  const same = links.find(({ version }) => version === active.version);
  if (same !== undefined && same.digest !== active.digest) {
    return refuse('equivocation', `another commit ${active.version} is active`);
  }
  const next = links.find(({ version }) => version === active.version + 1n);
  if (next !== undefined && next.previous !== active.digest) {
    return refuse('previous', `${next.version} does not follow what is active`);
  }
  return same === undefined && next !== undefined ? [active, ...links] : links;
}

export function emptyMirror(trust: Trust): Mirror {
  return { trust, chain: [], book: EMPTY_BOOK, active: null, freshAtMs: 0 };
}
