// Rotation (C5): from a pinned trust document to those after and before it. A later one is believed
// when thresholds of the old root keys AND of the new ones signed it (the TUF rule), one version at
// a time; an earlier one when the document after it names its digest, so that commits of its time
// still verify. Nobody on the way has to be believed, and nothing that is held is ever replaced.

import type { Crypto } from '../crypto.ts';
import { TRUST_DOCUMENTS_MAX, TRUST_PER_DELTA_MAX } from '../limits.ts';
import { type Decoded, decodeJws, type Jws, verifyJws } from './jws.ts';
import { isRefusal, type Refusal, refuse } from './refusal.ts';
import {
  keyringOf,
  readDocument,
  type Trust,
  type TrustDoc,
  type TrustDocument,
  trustKind,
} from './trust.ts';

export interface Adopted {
  /** `trust` itself when nothing was new. */
  readonly trust: Trust;
  /** What was refused changed nothing, and stopped nothing else. */
  readonly refused: readonly Refusal[];
}

/**
 * `trust` with the documents of `inputs` that continue it, forwards or back, in whatever order
 * they came. Refusals: those of `decodeJws` and `readDocument`, and cluster, trust-gap,
 * trust-previous, trust-signatures, key-unknown, signature, trust-fork.
 */
export async function adoptTrust(
  trust: Trust,
  inputs: readonly unknown[],
  crypto: Crypto,
): Promise<Adopted> {
  const refused: Refusal[] = [];
  const found: Decoded<TrustDocument>[] = [];
  for (const input of inputs) {
    // They come with every delta: bytes that are held cost a comparison.
    if (holds(trust, input)) continue;
    const decoded = decodeJws(input, trustKind, crypto);
    if ('claimed' in decoded) found.push(decoded);
    else refused.push(decoded);
  }
  found.sort((a, b) => (a.claimed.version < b.claimed.version ? -1 : 1));
  const first = oldestOf(trust).document.version;
  const later = found.filter(({ claimed }) => claimed.version >= first);
  const earlier = found.filter(({ claimed }) => claimed.version < first).reverse();
  let held = trust;
  for (const decoded of [...later, ...earlier]) {
    const next = await take(held, decoded, crypto);
    if (isRefusal(next)) refused.push(next);
    else held = next;
  }
  return { trust: held, refused };
}

/**
 * Of two that grew from one trust side by side: the one that goes further, at equal length `held`.
 * Trust never goes back.
 */
export function laterTrust(held: Trust, other: Trust): Trust {
  const [own, its] = [held.document.version, other.document.version];
  if (its !== own) return its > own ? other : held;
  return other.digest === held.digest && other.held.size > held.held.size ? other : held;
}

/**
 * What to send to a receiver, whatever its pin: nothing before the first rotation, then the newest
 * documents. A pin that is more than TRUST_PER_DELTA_MAX rotations old has to be renewed.
 */
export function carriedTrust(trust: Trust): readonly Jws[] {
  if (trust.document.version === 1n) return [];
  return [...trust.held.values()].slice(-TRUST_PER_DELTA_MAX).map(({ jws }) => jws);
}

export function oldestOf(trust: Trust): TrustDoc {
  for (const oldest of trust.held.values()) return oldest;
  return trust;
}

async function take(
  held: Trust,
  decoded: Decoded<TrustDocument>,
  crypto: Crypto,
): Promise<Trust | Refusal> {
  const { claimed, digest } = decoded;
  const { version, previous, cluster } = claimed;
  if (cluster !== held.cluster) return refuse('cluster', cluster);
  const same = held.held.get(version);
  if (same !== undefined) {
    return same.digest === digest ? held : rivalFault(held, same, decoded, crypto);
  }
  const newest = held.document.version;
  const oldest = oldestOf(held).document;
  if (version > newest + 1n || version < oldest.version - 1n) {
    return refuse('trust-gap', `${version}; ${oldest.version} to ${newest} are held`);
  }
  const follows = version > newest ? previous === held.digest : oldest.previous === digest;
  if (!follows) return refuse('trust-previous', `trust ${version} is of another history`);
  const read = readDocument(decoded, crypto);
  if (isRefusal(read)) return read;
  if (version < oldest.version)
    return held.held.size < TRUST_DOCUMENTS_MAX ? add(held, read) : held;
  return (await signatureFault(decoded, held, read, crypto)) ?? add(held, read);
}

/**
 * Another document of a version that is held. Root keys that sign two of one version are the end
 * of trust, so it is said only when they did: what a stranger made up is refused for what it is.
 */
async function rivalFault(
  held: Trust,
  same: TrustDoc,
  decoded: Decoded<TrustDocument>,
  crypto: Crypto,
): Promise<Refusal> {
  const { version, previous } = decoded.claimed;
  const before = held.held.get(version - 1n);
  if (before !== undefined && previous !== before.digest) {
    return refuse('trust-previous', `trust ${version} is of another history`);
  }
  const read = readDocument(decoded, crypto);
  if (isRefusal(read)) return read;
  const fault = await signatureFault(decoded, before ?? same, read, crypto);
  return fault ?? refuse('trust-fork', `another trust ${version} is held: ${same.digest}`);
}

/** Thresholds of the old root keys and of the new ones; a key that is both counts for both. */
async function signatureFault(
  decoded: Decoded<TrustDocument>,
  before: TrustDoc,
  after: TrustDoc,
  crypto: Crypto,
): Promise<Refusal | null> {
  const [old, own] = [keyringOf(before, 'root'), keyringOf(after, 'root')];
  const { signatures } = decoded;
  // Counted first: a document without the old keys' signatures costs no verification.
  const olds = signatures.filter(({ kid }) => old(kid) !== null);
  const owns = signatures.filter(({ kid }) => own(kid) !== null);
  const [most, least] = [before.document.root.threshold, after.document.root.threshold];
  if (olds.length < most) return refuse('trust-signatures', `${olds.length} of ${most} old keys`);
  if (owns.length < least) return refuse('trust-signatures', `${owns.length} of ${least} new keys`);
  // Old keys first, for nobody but their owners gets beyond them.
  const others = signatures.filter(({ kid }) => old(kid) === null);
  const ordered = { ...decoded, signatures: [...olds, ...others] };
  const verified = await verifyJws(ordered, (kid) => old(kid) ?? own(kid), crypto);
  return 'code' in verified ? verified : null;
}

function add(held: Trust, read: TrustDoc): Trust {
  const { version } = read.document;
  const later = version > held.document.version;
  const all = later
    ? [...held.held, [version, read] as const]
    : [[version, read] as const, ...held.held];
  return { ...(later ? read : held), held: new Map(all.slice(-TRUST_DOCUMENTS_MAX)) };
}

function holds(trust: Trust, input: unknown): boolean {
  if (typeof input !== 'object' || input === null || !('payload' in input)) return false;
  for (const { jws } of trust.held.values()) if (jws.payload === input.payload) return true;
  return false;
}
