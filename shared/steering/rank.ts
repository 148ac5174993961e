// Which region a key goes to, among those that admission left over (S4, S5).
//
// Regions that are about equally near form one priority level and share its load; load spills from
// level to level by capacity, not region by region, so that two neighbours back each other before a
// continent is crossed. The key decides twice: where it falls among the levels' shares, and which
// region of that level holds it.
//
// Invariants:
// - same key and same regions, in whatever order: same answer;
// - a region with nothing able is never chosen; when nothing is able there is no answer;
// - levels depend on distance alone, so a change in one region's capacity regroups nothing;
// - a level keeps the lower per cents: with two levels, keys that had already left the nearer one
//   stay where they are while more leave it.
//
// Rejected: random choice (a client would wander, and `explain` could not repeat it). Sorting by
// load (every edge would send its traffic to the same quiet region at once). Chaining levels by
// gaps between neighbours (ten regions 9 ms apart would be one level 81 ms wide).

import { assert } from '../assert.ts';
import type { Distance } from './distance.ts';
import { percentOf, rendezvous } from './rendezvous.ts';
import { spill } from './spill.ts';

/** A level's regions are at most this much farther than its first: no user tells 10 ms apart. */
export const LEVEL_WIDTH_MS = 10;

/** Capacity in integer units, 0 <= able <= total <= 1,000,000. Ids are distinct. */
export interface RankInput {
  readonly id: string;
  readonly distance: Distance;
  readonly total: number;
  readonly able: number;
}

/** A region in its place: level 0 is the nearest; the share is that of its whole level. */
export interface RankedRegion {
  readonly id: string;
  readonly level: number;
  readonly sharePercent: number;
  readonly distance: Distance;
}

/** The region that serves the key, and all regions in the order in which they were considered. */
export interface Ranked {
  readonly chosen: string;
  readonly order: readonly RankedRegion[];
}

interface Level {
  readonly firstMs: number;
  readonly regions: RankInput[];
}

/** Ranks `regions` for `key`; null when nothing is able. Regions of unknown distance come last. */
export function rank(key: string, regions: readonly RankInput[]): Ranked | null {
  const levels = intoLevels(regions);
  const shares = spill(levels.map(capacityOf));
  if (shares === null) return null;
  const percent = percentOf(key);
  let chosen: string | null = null;
  let reachedPercent = 0;
  const order: RankedRegion[] = [];
  for (const [level, { regions: members }] of levels.entries()) {
    const sharePercent = shares[level] ?? 0;
    reachedPercent += sharePercent;
    if (chosen === null && percent < reachedPercent) chosen = heir(key, members);
    for (const { id, distance } of members) order.push({ id, level, sharePercent, distance });
  }
  assert(chosen !== null, 'shares reach 100, and a level with a share has an able region');
  return { chosen, order };
}

function intoLevels(regions: readonly RankInput[]): readonly Level[] {
  const levels: Level[] = [];
  for (const region of regions.toSorted(nearerFirst)) {
    const ms = msOf(region.distance);
    const last = levels.at(-1);
    if (last !== undefined && (ms === last.firstMs || ms - last.firstMs <= LEVEL_WIDTH_MS)) {
      last.regions.push(region);
    } else {
      levels.push({ firstMs: ms, regions: [region] });
    }
  }
  return levels;
}

function nearerFirst(a: RankInput, b: RankInput): number {
  const aMs = msOf(a.distance);
  const bMs = msOf(b.distance);
  if (aMs !== bMs) return aMs < bMs ? -1 : 1;
  if (a.id === b.id) return 0;
  return a.id < b.id ? -1 : 1;
}

/** Unknown is infinitely far: behind everything known, and equal to everything unknown. */
function msOf(distance: Distance): number {
  return distance.kind === 'unknown' ? Number.POSITIVE_INFINITY : distance.ms;
}

function capacityOf({ regions }: Level): { total: number; able: number } {
  let total = 0;
  let able = 0;
  for (const region of regions) {
    total += region.total;
    able += region.able;
  }
  return { total, able };
}

function heir(key: string, members: readonly RankInput[]): string | null {
  const weighted = members.map(({ id, able }) => ({ id, weight: able }));
  return rendezvous(key, weighted)?.id ?? null;
}
