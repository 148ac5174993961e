// Does a holder know that there is something newer than what it stands on (E3)? A threshold of
// sites has to say so, and saying so once is enough: versions never go down.

import { expect, test } from 'vitest';
import { isBehind } from '../../../shared/control/activation.ts';
import { EMPTY_BOOK, receiveAttestation } from '../../../shared/control/attestation.ts';
import { trustOfSites } from '../forge.ts';
import { chainOf, NOW, say, type Word } from '../words.ts';

const trust = await trustOfSites(3, 2);
const [LINK] = chainOf(3, 3);

const at = (site: number, version: number, more: Partial<Word> = {}): Word => {
  return { site, version, issuedAt: NOW, ...more };
};

test.each<readonly [string, readonly Word[], boolean]>([
  ['nobody', [], false],
  ['all at the same version', [at(1, 3), at(2, 3), at(3, 3)], false],
  ['all before it', [at(1, 2), at(2, 1)], false],
  ['one site beyond it (I16)', [at(1, 9), at(2, 3), at(3, 3)], false],
  ['two agents of one site beyond it', [at(1, 4), at(1, 4, { agent: 2 })], false],
  ['two sites beyond it', [at(1, 4), at(2, 9)], true],
  ['two sites beyond it on different forks', [at(1, 4), at(2, 4, { fork: 'other' })], true],
  [
    'a site that says two things beyond it',
    [at(1, 4), at(1, 4, { agent: 2, fork: 'other' }), at(2, 4)],
    false,
  ],
])('%s', async (_name, words, behind) => {
  if (LINK === undefined) throw new Error('there is a link');
  let book = EMPTY_BOOK;
  for (const signed of await Promise.all(words.map(say))) {
    const next = receiveAttestation(book, signed, trust, NOW);
    if ('code' in next) throw new Error(next.code);
    book = next;
  }
  expect(isBehind(LINK, { book, trust })).toBe(behind);
});
