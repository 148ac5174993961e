// Leaving a fork. A commit that an operator signed and nobody decided (the loser of a race, say)
// can be brought to a store by any one agent, and the store, which has no source of its own, takes
// it. It is never active, but it must not keep the right one out either (C9, I16). What is active
// stays fixed; what lies beyond it gives way to what a threshold of sites attests, and to nothing
// less: junk that one agent brings takes nothing back.

import type { Hasher } from '../crypto.ts';
import { FORK_STILL_MS } from '../limits.ts';
import { contradiction, type Evidence, namedByThreshold, wentBeyond } from './activation.ts';
import { compareVersions, type Link, linkAt } from './chain.ts';
import { type Envelope, envelopeKind } from './envelope.ts';
import type { Holder } from './holder.ts';
import { type Decoded, decodeJws } from './jws.ts';

/**
 * Must `holder` go back to what is active? Either sites name another commit in the place of a held
 * one, or `commits`, as a delta brought them, leave the chain beyond what is active and lead to a
 * commit that a threshold names. Digests chain, so nobody's signature is needed for that.
 *
 * A threshold may have gone on further than a delta carries. Then nothing in the delta proves that
 * the branch is theirs, so it counts only where the head has stood still (`stillMs`) for
 * FORK_STILL_MS: one agent that brings junk must not throw back a holder that is catching up.
 */
export function isOnFork(
  holder: Holder,
  commits: readonly unknown[],
  { nowMs, stillMs }: { readonly nowMs: number; readonly stillMs: number },
  hasher: Hasher,
): boolean {
  const { active, chain } = holder;
  const head = chain.at(-1);
  if (head === undefined || head.digest === active?.digest) return false;
  const evidence = { ...holder, nowMs };
  if (contradiction(active, evidence) !== null) return true;
  const branch = branchOf(holder, commits, hasher);
  const named = branch.some(({ claimed, digest }) => {
    return namedByThreshold({ ...claimed, digest }, evidence);
  });
  return named || (stillMs >= FORK_STILL_MS && isOvertaken(branch, head, evidence));
}

/** Does `branch` part from the chain before its head, and have sites gone on beyond both? */
function isOvertaken(
  branch: readonly Decoded<Envelope>[],
  head: Link,
  evidence: Evidence,
): boolean {
  const [first, last] = [branch[0]?.claimed, branch.at(-1)?.claimed];
  if (first === undefined || last === undefined || first.version > head.version) return false;
  const place = compareVersions(last, head) > 0 ? last : head;
  return wentBeyond(place, evidence);
}

/**
 * The commits of a delta from where they leave the chain beyond what is active; [] if they do not.
 */
function branchOf(
  { chain, active }: Holder,
  commits: readonly unknown[],
  hasher: Hasher,
): readonly Decoded<Envelope>[] {
  const branch: Decoded<Envelope>[] = [];
  for (const input of commits) {
    const decoded = decodeJws(input, envelopeKind, hasher);
    if (!('claimed' in decoded)) break;
    const { generation, version, previous } = decoded.claimed;
    const before = branch.at(-1);
    if (before !== undefined) {
      if (version !== before.claimed.version + 1n || previous !== before.digest) break;
      branch.push(decoded);
      continue;
    }
    if (linkAt(chain, generation, version)?.digest === decoded.digest) continue;
    if (!leavesChain(chain, active, decoded.claimed)) break;
    branch.push(decoded);
  }
  return branch;
}

function leavesChain(chain: readonly Link[], active: Link | null, commit: Envelope): boolean {
  const { generation, version, previous } = commit;
  if (active === null && version === 1n) return previous === null;
  const stem = linkAt(chain, generation, version - 1n);
  if (stem === null || stem.digest !== previous) return false;
  return active === null || compareVersions(stem, active) >= 0;
}
