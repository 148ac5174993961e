import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Distance } from '../../../shared/steering/distance.ts';
import { LEVEL_WIDTH_MS, type RankInput, rank } from '../../../shared/steering/rank.ts';

const KEYS: readonly string[] = Array.from({ length: 20_000 }, (_, i) => `tenant-${i}`);

const away = (ms: number): Distance => ({ kind: 'measured', ms });
const UNKNOWN: Distance = { kind: 'unknown' };

const region = (id: string, distance: Distance, able = 100, total = 100): RankInput => ({
  id,
  distance,
  total,
  able,
});

/** Id, level and the level's share of each region, in order. */
function places(regions: readonly RankInput[]): readonly (readonly [string, number, number])[] {
  const { order } = rank('acme', regions) ?? { order: [] };
  return order.map(({ id, level, sharePercent }) => [id, level, sharePercent]);
}

/** The per cents of many keys that went to each region. */
function spread(regions: readonly RankInput[]): ReadonlyMap<string, number> {
  const percents = new Map<string, number>();
  for (const key of KEYS) {
    const chosen = rank(key, regions)?.chosen ?? 'none';
    percents.set(chosen, (percents.get(chosen) ?? 0) + 100 / KEYS.length);
  }
  return percents;
}

test('the nearest region takes all it can', () => {
  const regions = [region('us1', away(83)), region('eu1', away(9))];
  expect(rank('acme', regions)).toEqual({
    chosen: 'eu1',
    order: [
      { id: 'eu1', level: 0, sharePercent: 100, distance: away(9) },
      { id: 'us1', level: 1, sharePercent: 0, distance: away(83) },
    ],
  });
});

test('a region joins a level up to its width, and not beyond', () => {
  expect(LEVEL_WIDTH_MS).toBe(10);
  expect(places([region('a', away(5)), region('b', away(15)), region('c', away(16))])).toEqual([
    ['a', 0, 100],
    ['b', 0, 100],
    ['c', 1, 0],
  ]);
});

test('a level is measured from its first region, not from neighbour to neighbour', () => {
  const chain = ['a', 'b', 'c', 'd'].map((id, i) => region(id, away(9 * i)));
  expect(places(chain).map(([, level]) => level)).toEqual([0, 0, 1, 1]);
});

test('equal distances are ordered by id', () => {
  const regions = ['c', 'a', 'b'].map((id) => region(id, away(20)));
  expect(places(regions).map(([id]) => id)).toEqual(['a', 'b', 'c']);
});

test('where nothing is known, all regions are one level', () => {
  expect(places(['c', 'a', 'b'].map((id) => region(id, UNKNOWN)))).toEqual([
    ['a', 0, 100],
    ['b', 0, 100],
    ['c', 0, 100],
  ]);
});

test('unknown is behind everything known', () => {
  expect(places([region('a', UNKNOWN), region('b', away(300))])).toEqual([
    ['b', 0, 100],
    ['a', 1, 0],
  ]);
});

test('an estimate counts by its milliseconds', () => {
  const near: Distance = { kind: 'estimated', ms: 5, km: 478 };
  const far: Distance = { kind: 'estimated', ms: 62, km: 6186 };
  expect(places([region('us1', far), region('eu1', near)]).map(([id]) => id)).toEqual([
    'eu1',
    'us1',
  ]);
});

test('nothing able, no answer', () => {
  expect(rank('acme', [])).toBeNull();
  expect(rank('acme', [region('eu1', away(9), 0), region('us1', away(83), 0)])).toBeNull();
});

test('a region with nothing able stays in the order and serves nobody', () => {
  const regions = [region('eu1', away(9), 0), region('eu2', away(12)), region('us1', away(83))];
  // The level has 100 of 200 able: 70 per cent.
  expect(places(regions)).toEqual([
    ['eu1', 0, 70],
    ['eu2', 0, 70],
    ['us1', 1, 30],
  ]);
  expect(spread(regions).get('eu1')).toBeUndefined();
});

// Over many keys, which are literals: the deviations are constants.
test.each([
  ['a level that lost three quarters passes on 65', [25, 100, 0], [35, 65, 0]],
  ['each level keeps what it can carry', [25, 25, 100], [35, 35, 30]],
  ['too little anywhere is brought to 100', [10, 20, 10], [25, 50, 25]],
  ['the last one able takes all', [0, 0, 1], [0, 0, 100]],
] as const)('%s', (_fact, able, expected) => {
  const regions = able.map((units, i) => region(`r${i}`, away(50 * i), units));
  const percents = spread(regions);
  for (const [i, percent] of expected.entries()) {
    expect(Math.abs((percents.get(`r${i}`) ?? 0) - percent)).toBeLessThan(1);
  }
});

test('inside a level, regions share by what they are able to carry', () => {
  const percents = spread([
    region('a', away(5), 300, 300),
    region('b', away(6), 100, 300),
    region('c', away(90), 300, 300),
  ]);
  // 400 of 600 able: a health of 93, three quarters of it a's.
  expect(Math.abs((percents.get('a') ?? 0) - 69.75)).toBeLessThan(1);
  expect(Math.abs((percents.get('b') ?? 0) - 23.25)).toBeLessThan(1);
  expect(Math.abs((percents.get('c') ?? 0) - 7)).toBeLessThan(1);
});

const distance = fc.oneof(
  { weight: 5, arbitrary: fc.nat({ max: 60 }).map(away) },
  { weight: 1, arbitrary: fc.constant(UNKNOWN) },
);
const capacity = fc
  .integer({ min: 0, max: 1000 })
  .chain((total) => fc.record({ total: fc.constant(total), able: fc.nat({ max: total }) }));
const regions = fc.uniqueArray(
  fc
    .tuple(fc.string({ minLength: 1, maxLength: 3 }), distance, capacity)
    .map(([id, at, { able, total }]) => region(id, at, able, total)),
  { selector: ({ id }) => id, maxLength: 8 },
);

test('law: the order of the regions does not matter', () => {
  const shuffled = regions.chain((given) =>
    fc.tuple(
      fc.constant(given),
      fc.shuffledSubarray(given, { minLength: given.length, maxLength: given.length }),
    ),
  );
  fc.assert(
    fc.property(fc.string(), shuffled, (key, [given, other]) => {
      expect(rank(key, other)).toEqual(rank(key, given));
    }),
    { numRuns: 500 },
  );
});

test('law: the chosen region is able, its level has a share; no answer, nothing able', () => {
  fc.assert(
    fc.property(fc.string(), regions, (key, given) => {
      const result = rank(key, given);
      if (result === null) return given.every(({ able }) => able === 0);
      const chosen = given.find(({ id }) => id === result.chosen);
      const placed = result.order.find(({ id }) => id === result.chosen);
      return (chosen?.able ?? 0) > 0 && (placed?.sharePercent ?? 0) > 0;
    }),
    { numRuns: 1000 },
  );
});

test('law: every region has one place, nearer ones first, and the levels share 100', () => {
  fc.assert(
    fc.property(fc.string(), regions, (key, given) => {
      const result = rank(key, given);
      fc.pre(result !== null);
      const { order } = result;
      expect(order.map(({ id }) => id).toSorted()).toEqual(given.map(({ id }) => id).toSorted());
      const ms = order.map((one) => (one.distance.kind === 'unknown' ? 1e9 : one.distance.ms));
      expect(ms).toEqual(ms.toSorted((a, b) => a - b));
      const shares = new Map(order.map(({ level, sharePercent }) => [level, sharePercent]));
      expect([...shares.keys()]).toEqual([...shares.keys()].map((_, i) => i));
      expect([...shares.values()].reduce((sum, share) => sum + share, 0)).toBe(100);
    }),
    { numRuns: 500 },
  );
});

test('law: levels do not depend on what the regions can carry', () => {
  fc.assert(
    fc.property(regions, (given) => {
      fc.pre(given.some(({ able }) => able > 0));
      const full = given.map(({ id, distance: at }) => region(id, at));
      const levels = (of: readonly RankInput[]) => places(of).map(([id, level]) => [id, level]);
      expect(levels(given)).toEqual(levels(full));
    }),
    { numRuns: 500 },
  );
});

test('law: in one level, losing a region moves only the keys it held', () => {
  fc.assert(
    fc.property(fc.string(), regions, fc.nat(), (key, given, where) => {
      const near = given.map(({ id, able, total }) => region(id, away(3), able, total));
      const lost = near[where % Math.max(1, near.length)];
      const before = rank(key, near)?.chosen;
      const after = rank(
        key,
        near.map((one) => (one === lost ? { ...one, able: 0 } : one)),
      )?.chosen;
      if (before !== lost?.id) expect(after).toBe(before);
    }),
    { numRuns: 500 },
  );
});

test('law: with two levels, who left the nearer one stays away while more leave it', () => {
  fc.assert(
    fc.property(fc.string(), capacity, capacity, fc.nat(), (key, near, far, less) => {
      const at = (able: number) => [
        region('near', away(3), able, near.total),
        region('far', away(80), far.able, far.total),
      ];
      fc.pre(far.able > 0);
      const fewer = less % (near.able + 1);
      if (rank(key, at(near.able))?.chosen === 'far') {
        expect(rank(key, at(fewer))?.chosen).toBe('far');
      }
    }),
    { numRuns: 1000 },
  );
});
