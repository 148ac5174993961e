// Which of several equals serves a key: weighted rendezvous hashing (highest random weight).
//
// Each item draws a number u in (0, 1) from (key, item) and scores weight / -log2(u); the best
// score wins. -ln(u) / weight is an exponential variate of rate `weight`, and the least of
// several falls to each in proportion to its rate, so shares follow weights.
//
// Invariants:
// - an item's score depends on the key and on that item alone, so the order of items does not
//   matter, and removing an item (or lowering its weight) moves only the keys it held;
// - every step is one that ECMAScript fixes to the bit: integers below 2^53 and, for the table,
//   products of doubles. The answer is the same on every edge and in DNS.
//
// Rejected: Math.log2, which ECMAScript leaves approximate, so that two engines may disagree on a
// close call. The exact logarithm for every draw: ten times slower, and no share would change by
// a thousandth of a per cent. A ring or a Maglev table: state to build on every change of weights,
// for a handful of items. A keyed hash: whoever picks the key picks among regions that admission
// has allowed and that are able, no more than by choosing where to connect from.

import { assert } from '../assert.ts';

/** With costs up to 2^25 the cross products of a comparison stay below 2^45. */
export const WEIGHT_MAX = 1_000_000;

/** FNV-1a, 32 bits (draft-eastlake-fnv). */
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** A start of its own, so that the level of a key says nothing about its place inside the level. */
const LEVEL_START = absorb(FNV_OFFSET, 'steering/level');

/** Fractional bits of a logarithm. */
const FRACTION_BITS = 20;

/** log2(1 + i / 256) for i from 0 to 256, cut to FRACTION_BITS. */
const LOG2 = Array.from({ length: 257 }, (_, i) => log2Of256ths(i));

/**
 * The item that serves `key`; null when there is none of positive weight. Weights are integers
 * from 0 (never chosen) to WEIGHT_MAX, ids are distinct; equal scores go to the smaller id (by
 * code units).
 */
export function rendezvous<T extends { readonly id: string; readonly weight: number }>(
  key: string,
  items: readonly T[],
): T | null {
  const start = hash32(key);
  let best: T | null = null;
  let bestWeight = 0;
  let bestCost = 1;
  for (const item of items) {
    const { id, weight } = item;
    assert(Number.isInteger(weight) && weight >= 0 && weight <= WEIGHT_MAX, 'weight is in bounds');
    if (weight === 0) continue;
    const cost = costOf(avalanche(absorb(start, id)));
    const lead = weight * bestCost - bestWeight * cost;
    if (lead > 0 || (lead === 0 && best !== null && id < best.id)) {
      best = item;
      bestWeight = weight;
      bestCost = cost;
    }
  }
  return best;
}

/** 0 to 99, each for one per cent of all keys: where a key falls among the shares of the levels. */
export function percentOf(key: string): number {
  return Math.floor((avalanche(absorb(LEVEL_START, key)) * 100) / 0x1_0000_0000);
}

/**
 * 32 bits, unsigned: FNV-1a over UTF-16 code units, one step a unit, then MurmurHash3's `fmix32`.
 * For text in Latin-1 this is FNV-1a over its bytes. FNV alone is too weak in its high bits.
 */
export function hash32(text: string): number {
  return avalanche(absorb(FNV_OFFSET, text));
}

function absorb(start: number, text: string): number {
  let state = start;
  for (let i = 0; i < text.length; i += 1) {
    state = Math.imul(state ^ text.charCodeAt(i), FNV_PRIME);
  }
  return state;
}

/** `fmix32` of MurmurHash3: a bit of the input flips each bit of the result half the time. */
function avalanche(state: number): number {
  let h = state;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * -log2(u) in units of 2^-FRACTION_BITS, for u = hash / 2^32 (0 counts as 1): from 1 to 2^25.
 * Between two entries of the table the line runs below the curve, so a cost is too high by up to
 * 5 units and never too low.
 */
function costOf(hash: number): number {
  const drawn = Math.max(1, hash);
  const lead = Math.clz32(drawn);
  const mantissa = drawn << lead;
  const entry = (mantissa >>> 23) & 0xff;
  const rest = mantissa & 0x7f_ffff;
  const low = LOG2[entry] ?? 0;
  const rise = (LOG2[entry + 1] ?? 0) - low;
  const log = (31 - lead) * (1 << FRACTION_BITS) + low + Math.floor((rise * rest) / (1 << 23));
  return 32 * (1 << FRACTION_BITS) - log;
}

/** Bit by bit: to square doubles the logarithm, and a square of 2 or more has 1 as its next bit. */
function log2Of256ths(i: number): number {
  let log = i >> 8;
  let x = 1 + (i & 0xff) / 256;
  for (let bit = 0; bit < FRACTION_BITS; bit += 1) {
    x *= x;
    log *= 2;
    if (x >= 2) {
      x /= 2;
      log += 1;
    }
  }
  return log;
}
