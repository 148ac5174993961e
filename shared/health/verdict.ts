// What attestations add up to for a region (H4). Only a majority of ALL sites, silent ones
// included, calls it up or down; anything less is `unknown`, which moves nothing. So with three
// sites one may be dead or lie and neither can take a healthy region out or bring a dead one back
// (I16).

import type { Attestation, Observation } from '../control/attestation.ts';

export type Verdict = Observation | 'unknown';

/**
 * The verdict on `region`. `bySite` holds each site's valid attestations; the newest speaks for it.
 * `sites` are all sites of trust.
 */
export function regionVerdict(
  region: string,
  bySite: ReadonlyMap<string, readonly Attestation[]>,
  sites: readonly string[],
): Verdict {
  const votes = { up: 0, degraded: 0, down: 0 };
  for (const site of sites) {
    const observation = voteOf(bySite.get(site) ?? [], region);
    if (observation !== null) votes[observation]++;
  }
  const majority = Math.floor(sites.length / 2) + 1;
  if (votes.down >= majority) return 'down';
  if (votes.up >= majority) return 'up';
  // Those who reach it at all outnumber the rest, though not all find it well.
  return votes.up + votes.degraded >= majority ? 'degraded' : 'unknown';
}

function voteOf(attestations: readonly Attestation[], region: string): Observation | null {
  let newest: Attestation | null = null;
  for (const attestation of attestations) {
    if (newest === null || isLater(attestation, newest)) newest = attestation;
  }
  return newest?.observations.regions[region] ?? null;
}

/** A total order, so that two words of one millisecond give one verdict whoever came first. */
function isLater(a: Attestation, b: Attestation): boolean {
  if (a.issuedAt !== b.issuedAt) return a.issuedAt > b.issuedAt;
  return a.seq === b.seq ? a.agent > b.agent : a.seq > b.seq;
}
