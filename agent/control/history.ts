// The newest commits as an agent tells of them: who, why, what class, and how far each one has
// come. The chain it is read from is verified; what it says of sites is what they attest now.

import { sitesBehind } from '../../shared/control/activation.ts';
import { compareVersions } from '../../shared/control/chain.ts';
import type { Envelope } from '../../shared/control/envelope.ts';
import { envelopeKind } from '../../shared/control/envelope.ts';
import type { Holder } from '../../shared/control/holder.ts';
import { decodeJws } from '../../shared/control/jws.ts';
import type { Hasher } from '../../shared/crypto.ts';
import type { Digest } from '../../shared/digest.ts';

export interface HistoryEntry
  extends Readonly<Pick<Envelope, 'generation' | 'version' | 'author' | 'class' | 'reason'>> {
  readonly operations: number;
  /** Digest of the envelope. */
  readonly digest: Digest;
  readonly state: 'active' | 'pending';
  /** Sites that stand behind it, or behind a later one. */
  readonly attestedBy: readonly string[];
}

/** Newest first; no more than are in memory. */
export function historyOf(
  holder: Holder,
  limit: number,
  nowMs: number,
  hasher: Hasher,
): readonly HistoryEntry[] {
  const evidence = { ...holder, nowMs };
  const { active, chain } = holder;
  return chain
    .slice(-limit)
    .reverse()
    .flatMap((link): readonly HistoryEntry[] => {
      const decoded = decodeJws(link.jws, envelopeKind, hasher);
      if (!('claimed' in decoded)) return [];
      const { generation, version, author, class: derived, reason, operations } = decoded.claimed;
      const isActive = active !== null && compareVersions(link, active) <= 0;
      return [
        {
          generation,
          version,
          author,
          class: derived,
          reason,
          operations: operations.length,
          digest: link.digest,
          state: isActive ? 'active' : 'pending',
          attestedBy: sitesBehind(link, evidence),
        },
      ];
    });
}
