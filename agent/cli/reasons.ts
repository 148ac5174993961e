// A decision in words: for every region of the deployment why it serves the request or does not,
// also where the decision ended before regions were looked at.

import type { ResidencyFault } from '../../shared/admission/residency.ts';
import type { Global } from '../../shared/control/record.ts';
import type { Candidate, Decision } from '../../shared/steering/decide.ts';
import type { Distance } from '../../shared/steering/distance.ts';
import type { SteeringCode } from '../../shared/steering/refusal.ts';

export interface RegionReason {
  readonly region: string;
  readonly verdict: string;
  readonly distance: string;
  readonly chosen: boolean;
  readonly reason: string;
}

const RESIDENCY: Readonly<Record<ResidencyFault, string>> = {
  'outside-scope': 'outside the tenant’s scope',
  'not-home': 'not the home: writes and sessions go to the home alone',
  'no-replica-reads': 'not the home, and the policy allows no reads from replicas',
  'home-not-active': 'the home, but it is being moved',
};

const REFUSALS: Readonly<Record<SteeringCode, string>> = {
  'no-state': 'no verified state',
  'state-expired': 'the state is too old for this kind of request',
  'tenant-unknown': 'the host is nobody’s',
  'tenant-suspended': 'the tenant is suspended',
  'ingress-country': 'the scope takes no requests from this country',
  'country-unknown': 'the scope restricts countries, and the country is not known',
  'policy-missing': 'the tenant’s scope or policy is not in the state',
  'no-able-region': 'no region that may serve it is able to',
  'home-not-active': 'the home is being moved',
  residency: 'the last check of residency contradicts the choice',
  'path-malformed': 'the path is malformed',
  'request-malformed': 'the request is malformed',
  'gateway-unreachable': 'the gateway does not answer',
};

export function reasonsOf(
  { candidates, outcome }: Decision,
  global: Global,
  verdicts: Readonly<Record<string, string>>,
): readonly RegionReason[] {
  if (candidates.length > 0) return candidates.map(reasonOf);
  const code = outcome.kind === 'refuse' ? outcome.code : 'residency';
  const regions = Object.keys(global.sites).filter((id) => global.sites[id]?.region === true);
  return regions.sort().map((region) => ({
    region,
    verdict: verdicts[region] ?? 'unknown',
    distance: '-',
    chosen: false,
    reason: `not looked at: ${REFUSALS[code]}`,
  }));
}

export function outcomeText({ outcome }: Decision): string {
  if (outcome.kind === 'refuse') return `refused: ${REFUSALS[outcome.code]} (${outcome.code})`;
  return `served by ${outcome.region} at ${outcome.gateway}`;
}

function reasonOf({ region, verdict, distance, lot }: Candidate): RegionReason {
  const shown = { region, verdict, distance: distanceText(distance), chosen: false };
  switch (lot.kind) {
    case 'chosen': {
      const share = lot.sharePercent < 100 ? `, its level takes ${lot.sharePercent} %` : '';
      return { ...shown, chosen: true, reason: `chosen: ${nth(lot.level)}${share}` };
    }
    case 'residency':
      return { ...shown, reason: RESIDENCY[lot.fault] };
    case 'not-able':
      return { ...shown, reason: `may serve it, but is ${verdict}` };
    case 'ranked':
      return { ...shown, reason: rankedText(lot.level, lot.sharePercent) };
  }
}

function rankedText(level: number, sharePercent: number): string {
  if (sharePercent === 0) return `may serve it, but another is nearer (${nth(level)})`;
  return `may serve it, but this client falls to another (${nth(level)}, ${sharePercent} %)`;
}

function nth(level: number): string {
  return level === 0 ? 'nearest level' : `level ${level + 1} by distance`;
}

function distanceText(distance: Distance): string {
  switch (distance.kind) {
    case 'measured':
      return `${distance.ms} ms measured`;
    case 'estimated':
      return `${distance.km} km, ${distance.ms} ms at least`;
    case 'unknown':
      return 'unknown';
  }
}
