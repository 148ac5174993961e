import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type LevelCapacity, spill } from '../../../shared/steering/spill.ts';

/** Levels as 'able/total able/total ...', shares as '35 65'. */
function shares(levels: string): string {
  const given = levels.split(' ').map((text): LevelCapacity => {
    const [able = 0, total = 0] = text.split('/').map(Number);
    return { total, able };
  });
  return spill(given)?.join(' ') ?? 'nothing able';
}

// Origin of the values: envoyproxy/envoy, load_balancer_impl_base_test.cc (PrioritySelection,
// OverProvisioningFactor, GentleFailover, GentleFailoverWithExtraLevels). Where hosts are excluded,
// the rows have what is left. Left out: degraded hosts and other overprovisioning factors, which do
// not exist here. The last two rows are from before total panic (load_balancer_impl_test.cc).
test.each([
  ['0/1 0/2 1/1', '0 0 100'],
  ['1/1 0/2 1/1', '100 0 0'],
  ['2/4 2/4', '70 30'],
  ['1/1 1/1', '100 0'],
  ['1/2 1/2', '70 30'],
  ['1/4 2/2', '35 65'],
  ['1/4 1/4', '50 50'],
  ['1/1 1/5', '100 0'],
  ['1/1 1/1 1/1', '100 0 0'],
  ['1/2 1/2 1/2', '70 30 0'],
  ['1/4 2/2 1/2', '35 65 0'],
  ['1/4 1/4 1/4', '35 35 30'],
  ['1/5 1/5 1/5', '34 33 33'],
  ['0/5 0/5 5/5', '0 0 100'],
  ['0/5 0/5 4/5', '0 0 100'],
  ['0/5 0/5 2/5', '0 0 100'],
  ['0/5 2/5 1/5', '0 67 33'],
])('able %s gets what Envoy gives it, %s', (levels, expected) => {
  expect(shares(levels)).toBe(expected);
});

// Same file: here Envoy panics and goes by the number of hosts, able or not (third column).
test.each([
  ['0/1 0/1', 'nothing able', '50 50'],
  ['0/1 0/2', 'nothing able', '34 66'],
  ['0/0 1/4', '0 100', '50 50'],
  ['0/3 1/4', '0 100', '40 60'],
  ['0/5 0/5 2/5', '0 0 100', '34 33 33'],
  ['0/5 0/3 0/2', 'nothing able', '50 30 20'],
  ['0/5 2/6 1/3', '0 50 50', '37 42 21'],
  ['0/3 0/3 0/3', 'nothing able', '34 33 33'],
  ['0/0 0/6 0/3', 'nothing able', '0 67 33'],
])('there is no panic: able %s gets %s, not %s', (levels, expected, panic) => {
  expect(shares(levels)).toBe(expected);
  expect(shares(levels)).not.toBe(panic);
});

// Origin: Envoy's documentation, "Priority levels". For its last row it says 36 36 28, but healths
// of 35, 35 and 28 are normalised to 35, 35 and 28 of 98, and the remainder of 2 goes to the first.
test.each([
  ['100/100 100/100', '100 0'],
  ['72/100 100/100', '100 0'],
  ['71/100 100/100', '99 1'],
  ['50/100 100/100', '70 30'],
  ['25/100 100/100', '35 65'],
  ['0/100 100/100', '0 100'],
  ['72/100 72/100', '100 0'],
  ['71/100 71/100', '99 1'],
  ['50/100 50/100', '70 30'],
  ['25/100 25/100', '50 50'],
  ['100/100 100/100 100/100', '100 0 0'],
  ['72/100 72/100 100/100', '100 0 0'],
  ['71/100 71/100 100/100', '99 1 0'],
  ['50/100 50/100 100/100', '70 30 0'],
  ['25/100 100/100 100/100', '35 65 0'],
  ['25/100 25/100 100/100', '35 35 30'],
  ['25/100 25/100 20/100', '37 35 28'],
])('able %s gets the documented %s', (levels, expected) => {
  expect(shares(levels)).toBe(expected);
});

test('no level, no share', () => {
  expect(spill([])).toBeNull();
});

test.each([
  ['1/1000', '100'],
  ['0/5 1/1000 1/1000', '0 100 0'],
  ['0/0 1/1000', '0 100'],
])('what is able serves all, however little it is: %s gets %s', (levels, expected) => {
  expect(shares(levels)).toBe(expected);
});

test('a level keeps everything down to 100/140 able, and not one unit below', () => {
  expect(shares('100/140 140/140')).toBe('100 0');
  expect(shares('99/140 140/140')).toBe('99 1');
});

test.each(['-1/4', '5/4', '0.5/4', '1/1e16', '1/NaN'])(
  'able %s is a bug of the caller',
  (level) => {
    expect(() => shares(`1/1 ${level}`)).toThrow();
  },
);

const level = (totals: fc.Arbitrary<number>): fc.Arbitrary<LevelCapacity> =>
  totals.chain((total) =>
    fc.integer({ min: 0, max: total }).map((able): LevelCapacity => ({ total, able })),
  );
const levels = fc.array(level(fc.integer({ min: 0, max: 1_000_000 })), { maxLength: 8 });

test('law: integer shares of exactly 100, or nothing is able', () => {
  fc.assert(
    fc.property(levels, (given) => {
      const result = spill(given);
      if (result === null) return given.every(({ able }) => able === 0);
      expect(result).toHaveLength(given.length);
      expect(result.every((share) => Number.isInteger(share) && share >= 0)).toBe(true);
      expect(result.reduce((sum, share) => sum + share, 0)).toBe(100);
      return given.some(({ able }) => able > 0);
    }),
    { numRuns: 1000 },
  );
});

test('law: a level with nothing able gets nothing', () => {
  fc.assert(
    fc.property(levels, (given) => {
      const result = spill(given) ?? [];
      return result.every((share, i) => share === 0 || (given[i]?.able ?? 0) > 0);
    }),
    { numRuns: 1000 },
  );
});

test('law: more able in a level never lowers its share', () => {
  const small = fc.array(level(fc.integer({ min: 1, max: 200 })), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(small, fc.nat(), fc.nat(), (given, where, more) => {
      const i = where % given.length;
      const raised = given.map((one, j) => (j === i ? raise(one, more) : one));
      return (spill(raised)?.[i] ?? 0) >= (spill(given)?.[i] ?? 0);
    }),
    { numRuns: 5000 },
  );
});

function raise({ total, able }: LevelCapacity, more: number): LevelCapacity {
  return { total, able: able + (more % (total - able + 1)) };
}

test('law: levels that are fully able need nobody behind them', () => {
  fc.assert(
    fc.property(levels, levels, (before, behind) => {
      const result = spill([...before, { total: 7, able: 7 }, ...behind]) ?? [];
      return result.slice(before.length + 1).every((share) => share === 0);
    }),
  );
});

// The twin knows no integers but those of the input. Totals that divide 140 have healths without
// rounding, so each level behind the first able one must get the twin's share, cut to a whole one.
test('law: shares are those of the rule in plain fractions, cut to whole per cents', () => {
  const exact = level(fc.constantFrom(1, 2, 4, 5, 7, 10, 14, 20, 28, 35, 70, 140));
  fc.assert(
    fc.property(fc.array(exact, { minLength: 1, maxLength: 8 }), (given) => {
      const first = given.findIndex(({ able }) => able > 0);
      fc.pre(first !== -1);
      const twin = inFractions(given);
      expect(twin.reduce((sum, share) => sum + share, 0)).toBeCloseTo(100, 9);
      const result = spill(given) ?? [];
      for (const [i, share] of result.entries()) {
        const cut = Math.floor((twin[i] ?? 0) + 1e-9);
        if (i === first) expect(share - cut).toBeLessThan(given.length);
        else expect(share).toBe(cut);
      }
    }),
    { numRuns: 2000 },
  );
});

function inFractions(given: readonly LevelCapacity[]): readonly number[] {
  const healths = given.map(({ total, able }) => Math.min(1, (1.4 * able) / total));
  const sum = healths.reduce((all, health) => all + health, 0);
  const scale = sum < 1 ? 1 / sum : 1;
  let above = 0;
  return healths.map((health) => {
    const below = above + health * scale;
    const share = Math.min(1, below) - Math.min(1, above);
    above = below;
    return share * 100;
  });
}
