// Epochs tell a home from every earlier home of the same tenant. They are congruent to the home
// region's slot modulo 64, so that two regions can never mint the same one (F1).

export const SLOTS = 64n;

/** The smallest epoch above `previous` (0 for none) that belongs to `slot` (1..63). */
export function nextEpoch(previous: bigint, slot: number): bigint {
  const own = BigInt(slot);
  const base = previous - (previous % SLOTS) + own;
  return base > previous ? base : base + SLOTS;
}
