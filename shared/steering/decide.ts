// The decision: which region serves this request, or why none does. The policy on one screen, in
// the order of S2; steps that later issues add (identity, flags, rate, affinity, pressure) go
// between the ones that are here. Pure: the same facts and scene give the same decision on every
// edge, in DNS and in `explain` (S4, S10).

import type { Facts } from '../admission/facts.ts';
import { type OperationClass, operationOf } from '../admission/operation.ts';
import { ingressFault, type ResidencyFault, residencyFault } from '../admission/residency.ts';
import { regionOf } from '../control/checks.ts';
import type { Policy } from '../control/record.ts';
import type { Verdict } from '../health/verdict.ts';
import { HARD_AGE_S } from '../limits.ts';
import { type Distance, distances } from './distance.ts';
import { type Ranked, rank } from './rank.ts';
import type { SteeringCode } from './refusal.ts';
import type { Basis, Scene } from './scene.ts';

/** Why a region did not get the request; `chosen` is the one that did. */
export type Lot =
  | { readonly kind: 'chosen'; readonly level: number; readonly sharePercent: number }
  | { readonly kind: 'residency'; readonly fault: ResidencyFault }
  | { readonly kind: 'not-able' }
  /** Able, but farther away, or its level's share or the hash fell to another. */
  | { readonly kind: 'ranked'; readonly level: number; readonly sharePercent: number };

export interface Candidate {
  readonly region: string;
  readonly verdict: Verdict;
  readonly distance: Distance;
  readonly lot: Lot;
}

export type Outcome =
  | { readonly kind: 'forward'; readonly region: string; readonly gateway: string }
  | { readonly kind: 'refuse'; readonly code: SteeringCode };

/** Whose request it is; null before that is known. */
export interface Admission {
  readonly tenant: string;
  readonly scope: string;
  readonly op: OperationClass;
  readonly epoch: bigint;
}

export interface Decision {
  readonly outcome: Outcome;
  readonly admission: Admission | null;
  /** Every region of the deployment, by id. Empty when no tenant was found. */
  readonly candidates: readonly Candidate[];
  readonly basis: Basis;
}

export function decide(facts: Facts, scene: Scene): Decision {
  const { basis, global, tenant: found } = scene;
  const refusal = (code: SteeringCode): Decision => ({
    outcome: { kind: 'refuse', code },
    admission: null,
    candidates: [],
    basis,
  });
  if (found.kind === 'unknown') {
    // Nobody's policy says how old "nobody's" may be; the default for reads does (I15).
    const { read, revocation } = HARD_AGE_S;
    const most = scene.behind ? revocation.default : read.default;
    return refusal(scene.ageMs > most * 1000 ? 'state-expired' : 'tenant-unknown');
  }
  const { tenant, placement } = found;
  // Before anything else of the tenant is looked at. On old state it may have been resumed
  // meanwhile: refused all the same, but as what time may cure.
  if (tenant.suspended === true) {
    const old = scene.ageMs > HARD_AGE_S.revocation.max * 1000;
    return refusal(old ? 'state-expired' : 'tenant-suspended');
  }
  const scope = global.scopes[tenant.scope];
  const policy = global.policies[tenant.policy];
  if (scope === undefined || policy === undefined) return refusal('policy-missing');
  const op = operationOf(facts, policy);
  if (scene.ageMs > hardAgeMs(op, policy, scene.behind)) return refusal('state-expired');
  const ingress = ingressFault(scope, facts.country);
  if (ingress !== null) return refusal(ingress);

  const rule = { scope, policy, placement };
  const regions = measured(facts, scene).map((region) => ({
    ...region,
    fault: residencyFault(region.id, op, rule),
    able: isAble(region.verdict, region.id === placement.home),
  }));
  const allowed = regions.filter(({ fault }) => fault === null);
  const ranked = rank(
    `${found.id}|${facts.client}`,
    allowed.map(({ id, distance, capacity, able }) => {
      return { id, distance, total: capacity, able: able ? capacity : 0 };
    }),
  );
  const candidates = regions.map(({ id, verdict, distance, fault, able }): Candidate => {
    return { region: id, verdict, distance, lot: lotOf(id, fault, able, ranked) };
  });
  const admission = { tenant: found.id, scope: tenant.scope, op, epoch: placement.epoch };
  const decided = { admission, candidates, basis };
  if (ranked === null) {
    const moving = regions.some(({ fault }) => fault === 'home-not-active');
    const code = allowed.length === 0 && moving ? 'home-not-active' : 'no-able-region';
    return { ...decided, outcome: { kind: 'refuse', code } };
  }
  // Residency again, on the choice itself and from the records, not from the list above (I14).
  const site = regionOf(global, ranked.chosen);
  if (site === null || residencyFault(ranked.chosen, op, rule) !== null) {
    return { ...decided, outcome: { kind: 'refuse', code: 'residency' } };
  }
  return { ...decided, outcome: { kind: 'forward', region: ranked.chosen, gateway: site.gateway } };
}

/**
 * Past this age a class of operation is refused (E3). Sessions are writes here. Whatever changes
 * something, and whatever a holder decides that knows of newer state it lacks, ends at the age of
 * revocation: what it lacks may be that the tenant was suspended. Reads in mere silence go on.
 */
export function hardAgeMs(op: OperationClass, { hardAgeS }: Policy, behind: boolean): number {
  const { read, write, revocation } = hardAgeS;
  if (op === 'read') return (behind ? Math.min(read, revocation) : read) * 1000;
  return Math.min(write, revocation) * 1000;
}

/** A home that is not known to be down keeps its traffic; nothing is shifted to doubt (S5, H4). */
function isAble(verdict: Verdict, home: boolean): boolean {
  if (verdict === 'unknown') return home;
  return verdict !== 'down';
}

interface Region {
  readonly id: string;
  readonly capacity: number;
  readonly verdict: Verdict;
  readonly distance: Distance;
}

function measured(facts: Facts, { global, verdicts }: Scene): readonly Region[] {
  const sites = Object.entries(global.sites).flatMap(([id, site]) => {
    return site.region ? [{ id, at: site.at, capacity: site.capacity }] : [];
  });
  sites.sort((a, b) => (a.id < b.id ? -1 : 1));
  const byId = distances(facts, sites, global.latency);
  return sites.map(({ id, capacity }) => ({
    id,
    capacity,
    verdict: verdicts[id] ?? 'unknown',
    distance: byId.get(id) ?? { kind: 'unknown' },
  }));
}

function lotOf(
  id: string,
  fault: ResidencyFault | null,
  able: boolean,
  ranked: Ranked | null,
): Lot {
  if (fault !== null) return { kind: 'residency', fault };
  if (!able) return { kind: 'not-able' };
  const place = ranked?.order.find((region) => region.id === id);
  const { level, sharePercent } = place ?? { level: 0, sharePercent: 0 };
  return { kind: ranked?.chosen === id ? 'chosen' : 'ranked', level, sharePercent };
}
