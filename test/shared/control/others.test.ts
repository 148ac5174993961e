// What OTHER sites stand behind (C10): the rule by which an agent without a memory joins. Its own
// site counts for nothing, by whichever of its agents it speaks (I16).

import { expect, test } from 'vitest';
import { attestedByOthers, namedByOthers } from '../../../shared/control/activation.ts';
import {
  type AttestationBook,
  EMPTY_BOOK,
  receiveAttestation,
} from '../../../shared/control/attestation.ts';
import { trustOfSites } from '../forge.ts';
import { chainOf, NOW, say, type Word } from '../words.ts';

const trust = await trustOfSites(3, 2);
const chain = chainOf(1, 6);

/** By site, agent and version. */
const spoken = (site: number, agent: number, version: number): Word => {
  return { site, agent, version, issuedAt: NOW };
};

test.each<readonly [string, readonly Word[], bigint | null]>([
  ['nobody', [], null],
  ['the own agent and one other site', [spoken(1, 1, 3), spoken(2, 1, 3)], null],
  ['a sibling of the own site and one other site', [spoken(1, 2, 3), spoken(2, 1, 3)], null],
  ['two agents of one other site', [spoken(2, 1, 3), spoken(2, 2, 3)], null],
  ['both other sites', [spoken(2, 1, 3), spoken(3, 1, 3)], 3n],
  ['both, and the own one further on', [spoken(1, 1, 5), spoken(2, 1, 3), spoken(3, 1, 3)], 3n],
  ['both, one of them further on', [spoken(2, 1, 5), spoken(3, 1, 3)], 3n],
  ['both, one of them beyond what there is', [spoken(2, 1, 9), spoken(3, 1, 3)], null],
  ['both, of another history', [spoken(2, 1, 3), { ...spoken(3, 1, 3), fork: 'fork' }], null],
])('for the first of three sites: %s', async (_, words, version) => {
  const evidence = { chain, book: await bookOf(words), trust, nowMs: NOW };
  expect(attestedByOthers('s1', evidence)?.version ?? null).toBe(version);
});

test.each<readonly [string, readonly Word[], bigint | null]>([
  ['one other site', [spoken(2, 1, 5), spoken(2, 2, 6)], null],
  ['the own one and another', [spoken(1, 1, 5), spoken(2, 1, 5)], null],
  ['both, one of them not beyond', [spoken(2, 1, 5), spoken(3, 1, 2)], null],
  ['both', [spoken(2, 1, 3), spoken(3, 1, 3)], 3n],
  ['both, each where it had come to', [spoken(2, 1, 5), spoken(3, 1, 3)], 5n],
])('beyond version 2 stand, for the first of three sites, %s: %s', async (_, words, version) => {
  const [book, place] = [await bookOf(words), { generation: 1n, version: 2n }];
  expect(namedByOthers('s1', place, { book, trust, nowMs: NOW })).toBe(version);
});

async function bookOf(words: readonly Word[]): Promise<AttestationBook> {
  let book = EMPTY_BOOK;
  for (const word of words) {
    const next = receiveAttestation(book, await say(word), trust, NOW);
    if ('code' in next) throw new Error(next.code);
    book = next;
  }
  return book;
}
