import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hash32, percentOf, rendezvous, WEIGHT_MAX } from '../../../shared/steering/rendezvous.ts';

interface Item {
  readonly id: string;
  readonly weight: number;
}

const item = (id: string, weight: number): Item => ({ id, weight });

const KEYS: readonly string[] = Array.from({ length: 50_000 }, (_, i) => `tenant-${i}`);

// FNV-1a of these is 811c9dc5, e40c292c, bf9cf968 (draft-eastlake-fnv); here it is after fmix32.
test.each([
  ['', 0xab3e7c0b],
  ['a', 0x1a80b1b3],
  ['foobar', 0x0c0da6dc],
])('the hash of %j is fixed for all time', (text, expected) => {
  expect(hash32(text)).toBe(expected);
});

// Owners and per cents were worked out outside of this project, with real logarithms.
test.each([
  ['acme', 'eu1', 'eu1', 53],
  ['globex', 'us1', 'eu1', 5],
  ['initech', 'us1', 'us1', 4],
  ['hooli', 'eu1', 'eu1', 49],
  ['stark', 'ap1', 'eu1', 89],
  ['städtische-werke', 'eu1', 'eu1', 87],
])('%s is of %s, with other weights of %s, and of per cent %d', (key, equal, uneven, percent) => {
  expect(rendezvous(key, [item('eu1', 100), item('us1', 100), item('ap1', 100)])?.id).toBe(equal);
  expect(rendezvous(key, [item('eu1', 100), item('us1', 10), item('ap1', 1)])?.id).toBe(uneven);
  expect(percentOf(key)).toBe(percent);
});

test('nothing to choose from is no choice', () => {
  expect(rendezvous('acme', [])).toBeNull();
  expect(rendezvous('acme', [item('eu1', 0), item('us1', 0)])).toBeNull();
});

test('the item itself comes back, not a copy', () => {
  const only = { id: 'eu1', weight: 1, capacity: 'any' };
  expect(rendezvous('acme', [only])).toBe(only);
});

test.each([-1, 0.5, Number.NaN, WEIGHT_MAX + 1])(
  'a weight of %d is a bug of the caller',
  (weight) => {
    expect(() => rendezvous('acme', [item('eu1', weight)])).toThrow();
  },
);

test('the greatest weight is taken', () => {
  expect(rendezvous('acme', [item('eu1', WEIGHT_MAX)])?.id).toBe('eu1');
});

test('equal scores go to the smaller id, in either order', () => {
  // Found by search: for the key 'acme' both ids have one and the same hash.
  const a = item('r872608', 5);
  const b = item('r1139100', 5);
  expect(rendezvous('acme', [a, b])).toBe(b);
  expect(rendezvous('acme', [b, a])).toBe(b);
  expect(rendezvous('acme', [a, item('r1139100', 4)])).toBe(a);
});

// The keys are literals, so these sums are constants: a bound either holds for ever or never.
// Bounds: the 99.9 % points of chi-square.
test.each([
  [[1, 1], 10.83],
  [[100, 100, 100], 13.82],
  [[1, 2, 3, 4], 16.27],
  [[90, 9, 1], 13.82],
  [[999_000, 1_000], 10.83],
] as const)('weights %j get their shares of many keys', (weights, bound) => {
  const items = weights.map((weight, i) => item(`r${i}`, weight));
  const counts = countBy(KEYS, (key) => rendezvous(key, items)?.id ?? '');
  const total = weights.reduce<number>((sum, weight) => sum + weight, 0);
  const expected = items.map(({ id, weight }) => [id, (KEYS.length * weight) / total] as const);
  expect(chiSquare(counts, expected)).toBeLessThan(bound);
});

test('every per cent has its share of many keys', () => {
  const counts = countBy(KEYS, (key) => String(percentOf(key)));
  const expected = Array.from({ length: 100 }, (_, i) => [String(i), KEYS.length / 100] as const);
  expect(chiSquare(counts, expected)).toBeLessThan(148.2);
});

test('the per cent of a key says nothing about its item', () => {
  const items = [item('eu1', 1), item('eu2', 1)];
  const joint = (key: string) => `${percentOf(key) < 50} ${rendezvous(key, items)?.id}`;
  const cells = ['true eu1', 'true eu2', 'false eu1', 'false eu2'];
  const expected = cells.map((cell) => [cell, KEYS.length / 4] as const);
  expect(chiSquare(countBy(KEYS, joint), expected)).toBeLessThan(16.27);
});

const ids = fc.uniqueArray(fc.string({ maxLength: 6 }), { maxLength: 8 });
const items = (min: number) =>
  ids.chain((names) =>
    fc.tuple(...names.map((id) => fc.integer({ min, max: WEIGHT_MAX }).map((w) => item(id, w)))),
  );

test('law: the order of the items does not matter', () => {
  const shuffled = items(0).chain((given) =>
    fc.tuple(
      fc.constant(given),
      fc.shuffledSubarray(given, { minLength: given.length, maxLength: given.length }),
    ),
  );
  fc.assert(
    fc.property(fc.string(), shuffled, (key, [given, other]) => {
      expect(rendezvous(key, other)).toBe(rendezvous(key, given));
    }),
  );
});

test('law: removing an item moves only the keys it held', () => {
  fc.assert(
    fc.property(fc.string(), items(0), fc.nat(), (key, given, where) => {
      const removed = given[where % Math.max(1, given.length)];
      const before = rendezvous(key, given);
      const after = rendezvous(
        key,
        given.filter((one) => one !== removed),
      );
      if (before !== removed) expect(after).toBe(before);
    }),
    { numRuns: 500 },
  );
});

test('law: a greater weight moves keys to its item only', () => {
  fc.assert(
    fc.property(fc.string(), items(0), fc.nat(), fc.nat(), (key, given, where, more) => {
      const i = where % Math.max(1, given.length);
      const raised = given.map((one, j) => (j === i ? raise(one, more) : one));
      const before = rendezvous(key, given)?.id;
      const after = rendezvous(key, raised)?.id;
      if (after !== before) expect(after).toBe(given[i]?.id);
    }),
    { numRuns: 500 },
  );
});

function raise({ id, weight }: Item, more: number): Item {
  return item(id, weight + (more % (WEIGHT_MAX - weight + 1)));
}

test('law: weight 0 is never chosen, and something is chosen when there is weight', () => {
  fc.assert(
    fc.property(fc.string(), items(0), (key, given) => {
      const chosen = rendezvous(key, given);
      if (chosen === null) return given.every(({ weight }) => weight === 0);
      return chosen.weight > 0;
    }),
  );
});

/** Any UTF-16 code units, lone surrogates too. */
const anyText = fc
  .array(fc.nat({ max: 0xffff }), { maxLength: 40 })
  .map((units) => String.fromCharCode(...units));

test('law: the hash is FNV-1a and fmix32 in numbers of any size', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      expect(BigInt(hash32(text))).toBe(mixed(fnv(0x811c9dc5n, text)));
    }),
  );
});

test('law: the per cent is the hash of its own start, scaled', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const hash = mixed(fnv(fnv(0x811c9dc5n, 'steering/level'), text));
      expect(BigInt(percentOf(text))).toBe((hash * 100n) >> 32n);
    }),
  );
});

// The twin uses the engine's logarithm. Costs may be too high by 5 units of 2^-20, so the choice
// may differ from the twin's where the scores differ by less than that, and nowhere else.
test('law: the choice is the one of real logarithms, but for the error of the table', () => {
  fc.assert(
    fc.property(fc.string(), items(1), (key, given) => {
      const chosen = rendezvous(key, given);
      fc.pre(chosen !== null);
      const price = (one: Item) => realCost(key, one.id) / one.weight;
      for (const other of given) {
        expect(price(chosen)).toBeLessThanOrEqual(price(other) + (5 * 2 ** -20) / other.weight);
      }
    }),
    { numRuns: 1000 },
  );
});

function realCost(key: string, id: string): number {
  const start = mixed(fnv(0x811c9dc5n, key));
  return 32 - Math.log2(Math.max(1, Number(mixed(fnv(start, id)))));
}

function fnv(start: bigint, text: string): bigint {
  let state = start;
  for (let i = 0; i < text.length; i += 1) {
    state = ((state ^ BigInt(text.charCodeAt(i))) * 0x01000193n) % 2n ** 32n;
  }
  return state;
}

function mixed(state: bigint): bigint {
  let h = state;
  h = ((h ^ (h >> 16n)) * 0x85ebca6bn) % 2n ** 32n;
  h = ((h ^ (h >> 13n)) * 0xc2b2ae35n) % 2n ** 32n;
  return h ^ (h >> 16n);
}

function countBy(keys: readonly string[], of: (key: string) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(of(key), (counts.get(of(key)) ?? 0) + 1);
  return counts;
}

function chiSquare(
  counts: ReadonlyMap<string, number>,
  expected: readonly (readonly [string, number])[],
): number {
  return expected.reduce(
    (sum, [name, mean]) => sum + ((counts.get(name) ?? 0) - mean) ** 2 / mean,
    0,
  );
}
