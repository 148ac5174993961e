// Putting the next trust document into the source (C5). It certifies itself, so whoever brings it
// needs no right of his own; it is judged first as every receiver will judge it.

import { decodeJws } from '../../shared/control/jws.ts';
import type { Refusal } from '../../shared/control/refusal.ts';
import { type Trust, trustAt, trustKind } from '../../shared/control/trust.ts';
import { adoptTrust } from '../../shared/control/trust-chain.ts';
import type { Crypto } from '../../shared/crypto.ts';
import { type CommitSource, SourceError } from '../ports.ts';

export type PublishedTrust =
  | { readonly kind: 'created' | 'exists'; readonly version: bigint }
  | { readonly kind: 'unavailable'; readonly detail: string }
  | Refusal;

/** Refusals: those of `adoptTrust`. */
export async function publishTrust(
  input: unknown,
  trust: Trust,
  source: Pick<CommitSource, 'writeTrust'>,
  crypto: Crypto,
): Promise<PublishedTrust> {
  const decoded = decodeJws(input, trustKind, crypto);
  if (!('claimed' in decoded)) return decoded;
  const { version } = decoded.claimed;
  const { refused } = await adoptTrust(trust, [input], crypto);
  const [fault] = refused;
  if (fault !== undefined) return fault;
  if (trustAt(trust, version) !== null) return { kind: 'exists', version };
  try {
    return { kind: await source.writeTrust(version, decoded.jws), version };
  } catch (error) {
    if (error instanceof SourceError) return { kind: 'unavailable', detail: error.message };
    throw error;
  }
}
