// A full holder of control state: an agent, an edge store, the CLI. It has every piece, judges
// every commit itself and knows which version is active. All of it is values: the shell that holds
// a `Holder` verifies (asynchronous), then admits (synchronous), stores what is returned, and only
// then takes the next value, so no state is ever shown that is not stored.

import type { Crypto, Hasher } from '../crypto.ts';
import { activeLink, isBehind, supportedAtMs } from './activation.ts';
import {
  type Attestation,
  type AttestationBook,
  attestationKind,
  bookUnder,
  EMPTY_BOOK,
  isHeld,
  receiveAttestations,
} from './attestation.ts';
import { type VerifiedCommit, verifyAuthor } from './author.ts';
import { append, type Chain, compareVersions, type Link, linkAt, linkOf, newest } from './chain.ts';
import { type Envelope, envelopeKind } from './envelope.ts';
import { type Decoded, decodeJws, type Verified, verifyJws } from './jws.ts';
import type { NodeSource } from './merkle-map.ts';
import { type Refusal, refuse } from './refusal.ts';
import { type ControlState, genesis, type Writes } from './state.ts';
import { keyringOf, type Trust, trustAt } from './trust.ts';
import { laterTrust } from './trust-chain.ts';
import { judge } from './validity.ts';

export interface Holder {
  readonly trust: Trust;
  readonly state: ControlState;
  readonly chain: Chain;
  readonly book: AttestationBook;
  /** The newest link that was ever active here (E5: it never goes down). */
  readonly active: Link | null;
  /** When a threshold last supported `active`, ms. */
  readonly freshAtMs: number;
}

export function emptyHolder(trust: Trust, hasher: Hasher): { holder: Holder; writes: Writes } {
  const { state, writes } = genesis(trust.cluster, hasher);
  const holder = { trust, state, chain: [], book: EMPTY_BOOK, active: null, freshAtMs: 0 };
  return { holder, writes };
}

/** A commit on its way in: already held, or new and to be verified. */
export type Screened =
  | { readonly kind: 'known' }
  | { readonly kind: 'new'; readonly decoded: Decoded<Envelope> };

/**
 * C9 before the author's signature: bounds, encoding, cluster, generation, version, previous.
 * `ahead` new commits of the same delta come before this one. Refusals: too-large, malformed,
 * encoding, algorithm, cluster, generation, stale, gap, previous, equivocation.
 */
export function screenCommit(
  holder: Holder,
  input: unknown,
  ahead: number,
  hasher: Hasher,
): Screened | Refusal {
  const decoded = decodeJws(input, envelopeKind, hasher);
  if (!('claimed' in decoded)) return decoded;
  const { cluster, generation, version, previous } = decoded.claimed;
  const { manifest, envelope } = holder.state;
  if (cluster !== manifest.cluster) return refuse('cluster', cluster);
  if (generation !== manifest.generation) return refuse('generation', `${generation}`);
  if (version <= manifest.version) {
    const held = linkAt(holder.chain, generation, version);
    if (held === null) return refuse('stale', `${version}; ${manifest.version} is held`);
    if (held.digest === decoded.digest) return { kind: 'known' };
    // Attack: a second history. Only a threshold that attests both would make it one (C9).
    return refuse('equivocation', `another commit ${version} is held`);
  }
  const next = manifest.version + BigInt(ahead) + 1n;
  if (version !== next) return refuse('gap', `${version}; next is ${next}`);
  if (ahead === 0 && previous !== envelope)
    return refuse('previous', 'does not follow what is held');
  return { kind: 'new', decoded };
}

/**
 * Every signature of a commit, by the very trust document that it names: what was signed under an
 * older one verifies for ever, and a receiver that lacks one halts. Refusals: trust-missing, and
 * those of `verifyAuthor`.
 */
export async function verifyCommit(
  decoded: Decoded<Envelope>,
  trust: Trust,
  crypto: Crypto,
): Promise<VerifiedCommit | Refusal> {
  const { trust: version } = decoded.claimed;
  const under = trustAt(trust, version);
  if (under === null) return refuse('trust-missing', `trust ${version} is not held`);
  return verifyAuthor(decoded, under, crypto);
}

/**
 * `holder` under what it was brought of trust, before anything else is judged: words of keys that
 * are no longer named stop counting at once. What is active stays so.
 */
export function trusting<T extends Pick<Holder, 'trust' | 'book'>>(holder: T, adopted: Trust): T {
  const trust = laterTrust(holder.trust, adopted);
  if (trust === holder.trust) return holder;
  return { ...holder, trust, book: bookUnder(holder.book, holder.trust, trust) };
}

export interface Admitted {
  readonly kind: 'admitted';
  readonly holder: Holder;
  /** To be stored, with the commit and the manifest of `link`, before `holder` is used. */
  readonly writes: Writes;
  readonly link: Link;
}

/** The rest of C9: class, fold, every digest. Refusals: those of `judge`. */
export function admitCommit(
  holder: Holder,
  envelope: VerifiedCommit,
  nodes: NodeSource,
  hasher: Hasher,
): Admitted | Refusal {
  const accepted = judge(holder.state, envelope, holder.trust, nodes, hasher);
  if (accepted.kind === 'refused') return accepted;
  const link = linkOf(envelope, accepted.state.manifest);
  const next = { ...holder, state: accepted.state, chain: append(holder.chain, link) };
  return { kind: 'admitted', holder: next, writes: accepted.writes, link };
}

/**
 * Verifies what is new among `inputs` under the agents' keys. `refused` is in the order of arrival.
 * Refusals: those of `decodeJws`, key-unknown, signature.
 */
export async function verifyAttestations(
  book: AttestationBook,
  inputs: readonly unknown[],
  trust: Trust,
  crypto: Crypto,
): Promise<{ verified: readonly Verified<Attestation>[]; refused: readonly Refusal[] }> {
  const verified: Verified<Attestation>[] = [];
  const refused: Refusal[] = [];
  for (const input of inputs) {
    const decoded = decodeJws(input, attestationKind, crypto);
    if (!('claimed' in decoded)) refused.push(decoded);
    else if (!isHeld(book, decoded.digest)) {
      const outcome = await verifyJws(decoded, keyringOf(trust, 'agent'), crypto);
      if ('code' in outcome) refused.push(outcome);
      else verified.push(outcome);
    }
  }
  return { verified, refused };
}

/**
 * Takes attestations into the book, then counts what is active. Refusals: of `receiveAttestations`.
 */
export function receiveAll(
  holder: Holder,
  verified: readonly Verified<Attestation>[],
  nowMs: number,
): { readonly holder: Holder; readonly refused: readonly Refusal[] } {
  const { book, refused } = receiveAttestations(holder.book, verified, holder.trust, nowMs);
  return { holder: activated({ ...holder, book }, nowMs), refused };
}

/**
 * Once active stays so: `active` and `freshAtMs` never go down (C10, E3, E5). Nothing is renewed
 * while a threshold names a version that is not held.
 */
export function activated<T extends Omit<Holder, 'state'>>(holder: T, nowMs: number): T {
  const evidence = { ...holder, nowMs };
  const link = activeLink(evidence);
  const up = link !== null && (holder.active === null || compareVersions(link, holder.active) > 0);
  const active = up ? link : holder.active;
  if (active === null) return holder;
  // Attack: agents that are kept from version v + 1, and keep v young where others name v + 1 (E3).
  if (isBehind(newest(holder.chain) ?? active, holder)) return { ...holder, active };
  const supported = supportedAtMs(active, evidence) ?? 0;
  return { ...holder, active, freshAtMs: Math.max(supported, holder.freshAtMs) };
}
