// The scene of a decision: everything known when it is made, already verified, and nothing that is
// not. A scene and the facts determine the decision, which is why it can be recomputed offline
// (S10).

import type { TenantLookup } from '../admission/tenant.ts';
import { attestedCommitIndex, type Evidence } from '../control/activation.ts';
import { validBySite } from '../control/attestation.ts';
import type { Link } from '../control/chain.ts';
import type { Global } from '../control/record.ts';
import type { Digest } from '../digest.ts';
import { regionVerdict, type Verdict } from '../health/verdict.ts';

/** The control state that a decision stands on. */
export interface Basis {
  readonly cluster: string;
  readonly generation: bigint;
  readonly version: bigint;
  readonly lamport: bigint;
  /** null when no threshold names the same one. */
  readonly commitIndex: bigint | null;
  readonly manifest: Digest;
}

export interface Scene {
  readonly basis: Basis;
  readonly global: Global;
  readonly tenant: Exclude<TenantLookup, { kind: 'missing' }>;
  /** By region. A region without one is not able. */
  readonly verdicts: Readonly<Record<string, Verdict>>;
  /** Since a threshold last supported the state, ms. */
  readonly ageMs: number;
  /** A threshold of sites names something newer that is not stood on. */
  readonly behind: boolean;
}

export function basisOf(link: Link, evidence: Evidence): Basis {
  const { cluster, generation, version, lamport } = link.manifest;
  const commitIndex = attestedCommitIndex(link, evidence);
  return { cluster, generation, version, lamport, commitIndex, manifest: link.manifestDigest };
}

/** The verdict on every region of `global` (H4). */
export function verdictsOf(
  global: Global,
  { book, trust, nowMs }: Evidence,
): Record<string, Verdict> {
  const bySite = validBySite(book, trust, nowMs);
  const verdicts: Record<string, Verdict> = {};
  for (const [id, site] of Object.entries(global.sites)) {
    if (site.region) verdicts[id] = regionVerdict(id, bySite, trust.sites);
  }
  return verdicts;
}
