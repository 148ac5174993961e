// How much of etcd's history may be forgotten: everything well below the commit that a threshold of
// sites stands on. Keys stay; what goes is what was there before them, which only somebody who
// resumes a watch still needs. An agent that was away for longer, or a site that lags behind all
// others, rejoins (C10).

import { type AttestationBook, validBySite } from '../../shared/control/attestation.ts';
import type { Trust } from '../../shared/control/trust.ts';
import { COMPACTION_MARGIN } from '../limits.ts';

/**
 * The revision up to which history may go, or null: too few sites speak, or there is too little. A
 * site stands where the last of its agents does. Attack: one stolen site that names 0 for ever, so
 * that etcd runs full (I16).
 */
export function compactable(
  { book, trust }: { readonly book: AttestationBook; readonly trust: Trust },
  seen: bigint,
  nowMs: number,
): bigint | null {
  const sites = [...validBySite(book, trust, nowMs).values()];
  const places = sites.map((words) => lowest(words.map(({ commitIndex }) => commitIndex)));
  places.sort((a, b) => (a > b ? -1 : 1));
  const reached = places[trust.threshold - 1];
  if (reached === undefined) return null;
  const revision = lowest([seen, reached]) - COMPACTION_MARGIN;
  return revision > 0n ? revision : null;
}

function lowest(indexes: readonly bigint[]): bigint {
  const [least = 0n] = [...indexes].sort((a, b) => (a < b ? -1 : 1));
  return least;
}
