// Epochs (F1): above every earlier one, and of the region's own residue, so that no two regions can
// mint the same (I1, I2).

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nextEpoch, SLOTS } from '../../../shared/placement/epoch.ts';
import { SEED } from '../forge.ts';

test.each([
  [0n, 1, 1n],
  [0n, 63, 63n],
  [1n, 1, 65n],
  [1n, 2, 2n],
  [2n, 1, 65n],
  [63n, 63, 127n],
  [63n, 1, 65n],
  [64n, 1, 65n],
  [65n, 1, 129n],
  [126n, 63, 127n],
  [127n, 63, 191n],
  [2n ** 53n, 1, 2n ** 53n + 1n],
  [2n ** 53n + 1n, 1, 2n ** 53n + 65n],
])('after %s slot %d mints %s', (previous, slot, epoch) => {
  expect(nextEpoch(previous, slot)).toBe(epoch);
});

const slots = fc.integer({ min: 1, max: 63 });
const epochs = fc.bigInt({ min: 0n, max: 2n ** 62n });

test('law: the next epoch is the smallest above, congruent to the slot modulo 64', () => {
  fc.assert(
    fc.property(epochs, slots, (previous, slot) => {
      let counted = previous + 1n;
      while (counted % 64n !== BigInt(slot)) counted++;
      expect(nextEpoch(previous, slot)).toBe(counted);
    }),
    { seed: SEED, numRuns: 500 },
  );
});

test('law: two regions never mint the same epoch, whatever each has seen', () => {
  fc.assert(
    fc.property(epochs, epochs, slots, slots, (a, b, mine, yours) => {
      fc.pre(mine !== yours);
      expect(nextEpoch(a, mine)).not.toBe(nextEpoch(b, yours));
    }),
    { seed: SEED, numRuns: 500 },
  );
});

test('there are 64 residues, and slot 0 is nobody’s', () => {
  expect(SLOTS).toBe(64n);
});
