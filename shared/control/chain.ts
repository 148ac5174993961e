// The chain: commits that a receiver holds, oldest first, each naming the envelope before it. It is
// what "names it or a later version that chains to it" (C10) is checked against.

import type { Digest } from '../digest.ts';
import { CHAIN_LINKS_MAX } from '../limits.ts';
import type { Envelope } from './envelope.ts';
import type { Jws, Verified } from './jws.ts';
import type { Manifest } from './manifest.ts';

export interface Link {
  readonly generation: bigint;
  readonly version: bigint;
  /** Digest of the envelope. */
  readonly digest: Digest;
  readonly previous: Digest | null;
  readonly manifest: Manifest;
  readonly manifestDigest: Digest;
  readonly jws: Jws;
}

export type Chain = readonly Link[];

/** What a site names of a commit: enough to count by. */
export type NamedCommit = Pick<Link, 'generation' | 'version' | 'digest'>;

export function linkOf(envelope: Verified<Envelope>, manifest: Manifest): Link {
  const { value, digest, jws } = envelope;
  const { generation, version, previous } = value;
  return { generation, version, digest, previous, manifest, manifestDigest: value.manifest, jws };
}

export function newest(chain: Chain): Link | null {
  return chain.at(-1) ?? null;
}

/** The link at a place, or null: versions in a chain are dense, so this is an index. */
export function linkAt<T extends NamedCommit>(
  chain: readonly T[],
  generation: bigint,
  version: bigint,
): T | null {
  const first = chain[0];
  if (first === undefined) return null;
  const link = chain[Number(version - first.version)];
  return link?.generation === generation ? link : null;
}

/** `chain` with the next link; old links beyond the bound are let go. */
export function append(chain: Chain, link: Link): Chain {
  return [...chain.slice(-(CHAIN_LINKS_MAX - 1)), link];
}

/** By generation, then by number: the order in which versions never go down (I2). */
export function compareVersions(
  a: { readonly generation: bigint; readonly version: bigint },
  b: { readonly generation: bigint; readonly version: bigint },
): number {
  if (a.generation !== b.generation) return a.generation < b.generation ? -1 : 1;
  if (a.version === b.version) return 0;
  return a.version < b.version ? -1 : 1;
}
