// What somebody else landed while a plan was made: shown to whoever was second, verified, so that
// the next plan is made knowing it.

import { type Envelope, envelopeKind } from '../../shared/control/envelope.ts';
import type { Holder } from '../../shared/control/holder.ts';
import { decodeJws } from '../../shared/control/jws.ts';
import { admitBatch, verifyBatch } from '../../shared/control/receive.ts';
import type { Digest } from '../../shared/digest.ts';
import { nodeCrypto } from '../adapters/crypto.ts';
import type { Pieces } from '../control/pieces.ts';
import { KEYS_SHOWN_MAX } from './limits.ts';
import { printable, someOf } from './words.ts';

export interface Between {
  readonly version: bigint;
  readonly author: string;
  readonly reason: string;
  readonly envelope: Digest;
  /** Keys that it changed. */
  readonly keys: readonly string[];
}

/** Verified commits of `holder` beyond a version; only those whose links are in memory. */
export function landedSince({ chain }: Holder, version: bigint): readonly Between[] {
  return chain.flatMap((link) => {
    if (link.version <= version) return [];
    const decoded = decodeJws(link.jws, envelopeKind, nodeCrypto);
    return 'claimed' in decoded ? [betweenOf(decoded.claimed, decoded.digest)] : [];
  });
}

/** Those of `commits` that follow `holder` and verify. */
export async function landedAfter(
  holder: Holder,
  pieces: Pieces,
  commits: readonly unknown[],
): Promise<readonly Between[]> {
  const batch = await verifyBatch(holder, { commits, attestations: [] }, nodeCrypto);
  const admitted = admitBatch(holder, batch, pieces, 0, nodeCrypto);
  return landedSince(admitted.holder, holder.state.manifest.version);
}

export function betweenLines(between: readonly Between[]): readonly string[] {
  return between.map(({ version, author, reason, keys }) => {
    const changed = someOf(keys, KEYS_SHOWN_MAX);
    return `version ${version} by ${author}: ${printable(reason)} (${changed})`;
  });
}

function betweenOf({ version, author, reason, operations }: Envelope, envelope: Digest): Between {
  return { version, author, reason, envelope, keys: operations.map(({ key }) => key) };
}
