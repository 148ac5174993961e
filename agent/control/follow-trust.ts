// Following the source's trust documents (C5): forwards from the newest that is held, and back from
// the oldest where the pin is a later one, because old commits name old documents. The newest is
// read again each time, so that a source which lost it, or has another, is noticed.

import { type Refusal, refuse } from '../../shared/control/refusal.ts';
import { type Trust, trustAt } from '../../shared/control/trust.ts';
import { adoptTrust, oldestOf } from '../../shared/control/trust-chain.ts';
import type { Crypto } from '../../shared/crypto.ts';
import { TRUST_DOCUMENTS_MAX } from '../../shared/limits.ts';
import type { CommitSource } from '../ports.ts';

export interface ReadTrust {
  readonly trust: Trust;
  /** Of the first document each way that was refused; what lies beyond it cannot be judged. */
  readonly refused: readonly Refusal[];
  /** What lies where the next one belongs and does not continue `trust`, as it was read. */
  readonly next: { readonly input: unknown; readonly refusal: Refusal } | null;
}

type Walked = Omit<ReadTrust, 'refused'>;

interface Ports {
  readonly source: Pick<CommitSource, 'trust'>;
  readonly crypto: Crypto;
}

/**
 * All that the source has and `held` leads to. Refusals: those of `adoptTrust`, and rollback.
 * Rejects with SourceError.
 */
export async function readTrust(held: Trust, ports: Ports): Promise<ReadTrust> {
  const { version } = held.document;
  const input = await ports.source.trust(version);
  // A first document may be pinned and nowhere else.
  const lost = input === null && version > 1n;
  const again = input === null ? [] : (await adoptTrust(held, [input], ports.crypto)).refused;
  const fault = lost ? [refuse('rollback', `the source no longer has trust ${version}`)] : again;
  const later = await walk(held, (trust) => trust.document.version + 1n, ports);
  const earlier = await walk(later.trust, before, ports);
  const refused = [later, earlier].flatMap(({ next }) => (next === null ? [] : [next.refusal]));
  return { trust: earlier.trust, refused: [...fault, ...refused], next: later.next };
}

function before(trust: Trust): bigint {
  return trust.held.size < TRUST_DOCUMENTS_MAX ? oldestOf(trust).document.version - 1n : 0n;
}

async function walk(
  held: Trust,
  next: (trust: Trust) => bigint,
  { source, crypto }: Ports,
): Promise<Walked> {
  let trust = held;
  for (let reads = 0; reads < TRUST_DOCUMENTS_MAX; reads++) {
    const version = next(trust);
    const input = version < 1n ? null : await source.trust(version);
    if (input === null) break;
    const adopted = await adoptTrust(trust, [input], crypto);
    const [refusal = misplaced(adopted.trust, version)] = adopted.refused;
    if (refusal !== null) return { trust, next: { input, refusal } };
    trust = adopted.trust;
  }
  return { trust, next: null };
}

/** What was adopted is of another version than the key under which it lay. */
function misplaced(trust: Trust, version: bigint): Refusal | null {
  if (trustAt(trust, version) !== null) return null;
  return refuse('trust-gap', `another one lies where trust ${version} is`);
}
