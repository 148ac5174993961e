// The chain that a receiver holds: dense, bounded, and the order in which versions never go down
// (I2).

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { append, compareVersions, linkAt, newest } from '../../../shared/control/chain.ts';
import { CHAIN_LINKS_MAX } from '../../../shared/limits.ts';
import { SEED } from '../forge.ts';
import { chainOf } from '../words.ts';

test('a link is found at its own place only', () => {
  const chain = chainOf(5, 9);
  for (const link of chain) expect(linkAt(chain, 1n, link.version)).toBe(link);
  for (const version of [-1n, 0n, 4n, 10n, 2n ** 60n])
    expect(linkAt(chain, 1n, version)).toBe(null);
  for (const generation of [0n, 2n]) expect(linkAt(chain, generation, 5n)).toBe(null);
  expect(linkAt([], 1n, 1n)).toBe(null);
});

test('the newest is the last, and an empty chain has none', () => {
  expect(newest(chainOf(5, 9))?.version).toBe(9n);
  expect(newest([])).toBe(null);
});

test('a chain grows to its bound, then lets the oldest go', () => {
  const [one, two] = [chainOf(1, CHAIN_LINKS_MAX - 1), chainOf(1, CHAIN_LINKS_MAX)];
  const [last] = chainOf(CHAIN_LINKS_MAX, CHAIN_LINKS_MAX);
  const [next] = chainOf(CHAIN_LINKS_MAX + 1, CHAIN_LINKS_MAX + 1);
  if (last === undefined || next === undefined) throw new Error('no link');
  expect(append(one, last).map(({ version }) => version)).toEqual(two.map((l) => l.version));
  expect(append(two, next).length).toBe(CHAIN_LINKS_MAX);
  expect(append(two, next)[0]?.version).toBe(2n);
  expect(one.length).toBe(CHAIN_LINKS_MAX - 1);
});

test.each([
  [1n, 1n, 1n, 1n, 0],
  [1n, 1n, 1n, 2n, -1],
  [1n, 10n, 1n, 9n, 1],
  [1n, 99n, 2n, 1n, -1],
  [3n, 1n, 2n, 99n, 1],
])('generation %s version %s against %s, %s: %d', (g, v, otherG, otherV, order) => {
  const a = { generation: g, version: v };
  const b = { generation: otherG, version: otherV };
  expect(compareVersions(a, b)).toBe(order);
});

test('law: versions are in one order, by generation before number', () => {
  const place = fc.record({ generation: fc.bigInt(0n, 3n), version: fc.bigInt(0n, 2n ** 62n) });
  fc.assert(
    fc.property(place, place, (a, b) => {
      const number = ({ generation, version }: typeof a) => generation * 2n ** 63n + version;
      const expected = number(a) < number(b) ? -1 : number(a) > number(b) ? 1 : 0;
      expect(compareVersions(a, b)).toBe(expected);
      expect(compareVersions(b, a)).toBe(expected === 0 ? 0 : -expected);
    }),
    { seed: SEED, numRuns: 300 },
  );
});
