// Taking in a delta, for every full holder alike: verify everything first (asynchronous, changes
// nothing), then admit in one synchronous run, storing each commit before it is used. Between the
// two another delta may have been taken, so position is judged again on admission.

import type { Crypto } from '../crypto.ts';
import type { Attestation } from './attestation.ts';
import type { VerifiedCommit } from './author.ts';
import {
  type Admitted,
  admitCommit,
  type Holder,
  receiveAll,
  screenCommit,
  verifyAttestations,
  verifyCommit,
} from './holder.ts';
import type { Verified } from './jws.ts';
import type { NodeSource } from './merkle-map.ts';
import type { Refusal } from './refusal.ts';

/** Documents whose signatures hold; what was refused on the way is beside them. */
export interface VerifiedBatch {
  readonly commits: readonly VerifiedCommit[];
  readonly attestations: readonly Verified<Attestation>[];
  readonly refused: readonly Refusal[];
}

/** The part of storage that a holder needs: pieces by digest, and one atomic write a commit. */
export interface HolderStorage {
  readonly nodes: NodeSource;
  /** Stores commit, manifest and pieces at once, or throws and stores nothing. */
  store(admitted: Admitted): void;
}

/**
 * Screens and verifies. The first refused commit ends the run of commits: what follows needs it.
 */
export async function verifyBatch(
  holder: Holder,
  input: { readonly commits: readonly unknown[]; readonly attestations: readonly unknown[] },
  crypto: Crypto,
): Promise<VerifiedBatch> {
  const commits: VerifiedCommit[] = [];
  const refused: Refusal[] = [];
  for (const jws of input.commits) {
    const screened = screenCommit(holder, jws, commits.length, crypto);
    if (screened.kind === 'known') continue;
    const outcome =
      screened.kind === 'new'
        ? await verifyCommit(screened.decoded, holder.trust, crypto)
        : screened;
    if ('code' in outcome) {
      refused.push(outcome);
      break;
    }
    commits.push(outcome);
  }
  const { trust, book } = holder;
  const words = await verifyAttestations(book, input.attestations, trust, crypto);
  return { commits, attestations: words.verified, refused: [...refused, ...words.refused] };
}

/** Admits a verified batch. Synchronous: nothing else can change the holder meanwhile. */
export function admitBatch(
  holder: Holder,
  batch: VerifiedBatch,
  storage: HolderStorage,
  nowMs: number,
  crypto: Crypto,
): { readonly holder: Holder; readonly refused: readonly Refusal[] } {
  const refused = [...batch.refused];
  let held = holder;
  for (const envelope of batch.commits) {
    const screened = screenCommit(held, envelope.jws, 0, crypto);
    if (screened.kind === 'known') continue;
    const admitted =
      screened.kind === 'new' ? admitCommit(held, envelope, storage.nodes, crypto) : screened;
    if (admitted.kind === 'refused') {
      refused.push(admitted);
      break;
    }
    // A crash here leaves the commit whole or absent; the next delta brings it again.
    storage.store(admitted);
    held = admitted.holder;
  }
  const received = receiveAll(held, batch.attestations, nowMs);
  return { holder: received.holder, refused: [...refused, ...received.refused] };
}
