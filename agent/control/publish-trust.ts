// Putting the next trust document into the source (C5). It certifies itself, so whoever brings it
// needs no right of his own; it is judged as every receiver will judge it: first by what is held,
// so that what nobody signed costs no look at the source, then by what is there by now.

import { type Decoded, decodeJws } from '../../shared/control/jws.ts';
import type { Refusal } from '../../shared/control/refusal.ts';
import { type Trust, type TrustDocument, trustAt, trustKind } from '../../shared/control/trust.ts';
import { adoptTrust } from '../../shared/control/trust-chain.ts';
import type { Crypto } from '../../shared/crypto.ts';
import { type CommitSource, SourceError } from '../ports.ts';

export type PublishedTrust =
  | { readonly kind: 'created' | 'exists'; readonly version: bigint }
  | { readonly kind: 'unavailable'; readonly detail: string }
  | Refusal;

export interface PublishPorts {
  /** As it is held now. */
  readonly trust: () => Trust;
  /** Reads the source. */
  readonly catchUp: () => Promise<void>;
  readonly source: Pick<CommitSource, 'writeTrust'>;
  readonly crypto: Crypto;
}

/** Refusals: those of `adoptTrust`. */
export async function publishTrust(input: unknown, ports: PublishPorts): Promise<PublishedTrust> {
  const { trust, catchUp, source, crypto } = ports;
  const first = await judge(input, trust(), crypto);
  // Only behind a gap may lie one that was published and not read yet.
  if (first.kind !== 'next' && !('code' in first && first.code === 'trust-gap')) return first;
  await catchUp();
  const judged = await judge(input, trust(), crypto);
  if (judged.kind !== 'next') return judged;
  const { jws, claimed } = judged.decoded;
  try {
    const kind = await source.writeTrust(claimed.version, jws);
    if (kind === 'created') await catchUp();
    return { kind, version: claimed.version };
  } catch (error) {
    if (error instanceof SourceError) return { kind: 'unavailable', detail: error.message };
    throw error;
  }
}

interface Next {
  readonly kind: 'next';
  readonly decoded: Decoded<TrustDocument>;
}

async function judge(
  input: unknown,
  trust: Trust,
  crypto: Crypto,
): Promise<Next | { readonly kind: 'exists'; readonly version: bigint } | Refusal> {
  const decoded = decodeJws(input, trustKind, crypto);
  if (!('claimed' in decoded)) return decoded;
  const [fault] = (await adoptTrust(trust, [input], crypto)).refused;
  if (fault !== undefined) return fault;
  const { version } = decoded.claimed;
  return trustAt(trust, version) === null ? { kind: 'next', decoded } : { kind: 'exists', version };
}
