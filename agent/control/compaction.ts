// How much of etcd's history may be forgotten: everything well below the oldest commit that a live
// agent stands on. Keys stay; what goes is what was there before them, which only somebody who
// resumes a watch still needs. An agent that was away for longer rejoins (C10).

import { type AttestationBook, validBySite } from '../../shared/control/attestation.ts';
import type { Trust } from '../../shared/control/trust.ts';
import { COMPACTION_MARGIN } from '../../shared/limits.ts';

/** The revision up to which history may go, or null: nothing is known, or there is too little. */
export function compactable(
  { book, trust }: { readonly book: AttestationBook; readonly trust: Trust },
  seen: bigint,
  nowMs: number,
): bigint | null {
  const agents = [...validBySite(book, trust, nowMs).values()].flat();
  if (agents.length === 0) return null;
  const indexes = [seen, ...agents.map(({ commitIndex }) => commitIndex)];
  const [oldest = 0n] = indexes.sort((a, b) => (a < b ? -1 : 1));
  const revision = oldest - COMPACTION_MARGIN;
  return revision > 0n ? revision : null;
}
