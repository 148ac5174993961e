// How much history may go (C1): what a threshold of sites no longer needs, whatever one site says
// that it stands on (I16).

import { expect, test } from 'vitest';
import { compactable } from '../../agent/control/compaction.ts';
import { COMPACTION_MARGIN } from '../../agent/limits.ts';
import { EMPTY_BOOK, receiveAttestation } from '../../shared/control/attestation.ts';
import { trustOfSites } from '../shared/forge.ts';
import { NOW, say } from '../shared/words.ts';

const trust = await trustOfSites(3, 2);
const SEEN = 100_000n;

/** Site, agent, and the commit index that it names. */
type Stands = readonly [site: number, agent: number, index: bigint];

async function upTo(words: readonly Stands[], seen = SEEN): Promise<bigint | null> {
  let book = EMPTY_BOOK;
  for (const [site, agent, commitIndex] of words) {
    const word = { site, agent, version: 3, issuedAt: NOW, changes: { commitIndex } };
    const next = receiveAttestation(book, await say(word), trust, NOW);
    if ('code' in next) throw new Error(next.code);
    book = next;
  }
  return compactable({ book, trust }, seen, NOW);
}

test.each<readonly [string, readonly Stands[], bigint | null]>([
  ['nobody', [], null],
  ['one site alone', [[1, 1, 50_000n]], null],
  [
    'two sites: the older',
    [
      [1, 1, 60_000n],
      [2, 1, 50_000n],
    ],
    50_000n,
  ],
  [
    'the older agent of a site',
    [
      [1, 1, 60_000n],
      [1, 2, 40_000n],
      [2, 1, 50_000n],
    ],
    40_000n,
  ],
  [
    'three sites, one that says 0',
    [
      [1, 1, 60_000n],
      [2, 1, 50_000n],
      [3, 1, 0n],
    ],
    50_000n,
  ],
  [
    'three sites, one that says too much',
    [
      [1, 1, 60_000n],
      [2, 1, 50_000n],
      [3, 1, 900_000n],
    ],
    60_000n,
  ],
  [
    'all beyond what was seen here',
    [
      [1, 1, 200_000n],
      [2, 1, 200_000n],
    ],
    SEEN,
  ],
])('%s', async (_, words, oldest) => {
  expect(await upTo(words)).toBe(oldest === null ? null : oldest - COMPACTION_MARGIN);
});

test('history shorter than the margin stays', async () => {
  const at = (index: bigint) =>
    upTo([
      [1, 1, index],
      [2, 1, index],
    ]);
  expect(await at(COMPACTION_MARGIN)).toBeNull();
  expect(await at(COMPACTION_MARGIN + 1n)).toBe(1n);
});
