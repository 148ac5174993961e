// The next attestation of this agent (C10, H3), as a plan: what to keep first, what to say then.
// One digest a version, for ever: what was attested is on disk before it is sent, and a head that
// contradicts it is never attested.

import type { Attestation, Observation } from '../../shared/control/attestation.ts';
import type { Holder } from '../../shared/control/holder.ts';
import { ATTESTATION_LIFE_MS } from '../../shared/limits.ts';
import type { Kept } from '../ports.ts';

export interface Situation {
  readonly site: string;
  readonly agent: string;
  readonly nowMs: number;
  readonly mode: Attestation['mode'];
  readonly commitIndex: bigint;
  readonly term: bigint;
  /** Up to this revision of the source every change was seen. */
  readonly seen: bigint | undefined;
  readonly regions: Readonly<Record<string, Observation>>;
}

export interface AttestPlan {
  readonly kept: Kept;
  readonly attestation: Attestation;
}

/** null before the first commit: there is nothing to attest. */
export function planAttestation(
  holder: Holder,
  kept: Kept,
  situation: Situation,
): AttestPlan | null {
  const { manifest, envelope } = holder.state;
  if (envelope === null) return null;
  const { generation, version } = manifest;
  const wallMs = BigInt(situation.nowMs);
  const seq = kept.seq + 1n > wallMs ? kept.seq + 1n : wallMs;
  const { site, agent, mode, nowMs, commitIndex, term, seen } = situation;
  return {
    kept: {
      seq,
      generation,
      version,
      envelope,
      ...(seen === undefined ? {} : { revision: seen }),
    },
    attestation: {
      kind: 'attestation',
      cluster: manifest.cluster,
      site,
      agent,
      seq,
      issuedAt: nowMs,
      expiresAt: nowMs + ATTESTATION_LIFE_MS,
      mode,
      generation,
      version,
      envelope,
      commitIndex,
      term,
      observations: { regions: { ...situation.regions } },
      load: {},
    },
  };
}
