// How much of the traffic each priority level gets (S4), and that there may be none to give (S5).
//
// The nearest level keeps everything until it has lost more than it can spare; from there on it
// keeps what it can carry and passes the rest outwards, a per cent at a time. Nothing flips, so no
// level meets a herd. The rule is Envoy's priority load, in integers, without Envoy's panic mode.
//
// Invariants:
// - shares are integers from 0 to 100 and add up to exactly 100;
// - a level with nothing able gets 0, whatever happens to the others;
// - more able in a level, the rest unchanged, never lowers that level's share.
//
// Rejected: panic mode (below 50 % healthy Envoy serves from all hosts, health ignored): to send
// traffic to what is known to be unable, because little else is able, is failing open. On/off
// failover at a threshold: it moves a whole region's load at once. Real-valued shares: they
// differ between machines by rounding, and a decision must be the same on every edge and in DNS.

import { assert } from '../assert.ts';

/**
 * A level is sized to carry 100/140 of its capacity and still take all its traffic: below 71.4 %
 * able it begins to spill. Source: Envoy, `overprovisioning_factor`, default 140.
 */
export const OVERPROVISIONING_PERCENT = 140;

/** Capacity of one priority level, in integer units of one kind; `able` is a part of `total`. */
export interface LevelCapacity {
  readonly total: number;
  readonly able: number;
}

/**
 * Each level's share of the traffic in per cent, nearest first; null when nothing is able anywhere.
 *
 * What rounding leaves over goes to the first level with able capacity. That includes the case in
 * which every health rounds to 0 although something is able (1 of 200): then all of it goes there.
 */
export function spill(levels: readonly LevelCapacity[]): readonly number[] | null {
  const first = levels.findIndex((level) => level.able > 0);
  if (first === -1) return null;
  const healths = levels.map(healthOf);
  const sum = healths.reduce((total, health) => total + health, 0);
  // Under 100 in all, each health counts as its part of the sum; 1 only keeps 0 / 0 out.
  const whole = Math.max(1, Math.min(100, sum));
  let left = 100;
  const shares = healths.map((health) => {
    const share = Math.min(left, Math.floor((health * 100) / whole));
    left -= share;
    return share;
  });
  return shares.map((share, level) => (level === first ? share + left : share));
}

/** Health in per cent, 0 to 100. The quotient is exact: both sides are integers below 2^53. */
function healthOf({ total, able }: LevelCapacity): number {
  assert(Number.isSafeInteger(total * OVERPROVISIONING_PERCENT), 'capacity is a bounded integer');
  assert(Number.isInteger(able) && able >= 0 && able <= total, 'able is a part of the capacity');
  if (able === 0) return 0;
  return Math.min(100, Math.floor((OVERPROVISIONING_PERCENT * able) / total));
}
