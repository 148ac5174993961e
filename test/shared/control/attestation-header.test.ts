// Newest words in a header (E3): what fits, whose come first, and what is read back.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeBase64url } from '../../../shared/base64url.ts';
import { utf8 } from '../../../shared/canonical.ts';
import {
  type AttestationBook,
  EMPTY_BOOK,
  type HeldAttestation,
} from '../../../shared/control/attestation.ts';
import {
  readAge,
  readAttestations,
  writeAttestations,
} from '../../../shared/control/attestation-header.ts';
import { receiveAll, verifyAttestations } from '../../../shared/control/holder.ts';
import { ATTESTATIONS_HEADER_CHARS_MAX } from '../../../shared/limits.ts';
import { attest, commit, crypto, FIRST, newHolder, SITES, testTrust } from '../kit.ts';
import { NOW } from '../words.ts';

const trust = await testTrust();
const held = newHolder(trust);
await commit(held, FIRST);
const words = await Promise.all(SITES.map((site, i) => attest(held, site, NOW + i)));
const { verified } = await verifyAttestations(EMPTY_BOOK, words, trust, crypto);
const { book } = receiveAll(held.holder, verified, NOW).holder;

/** `count` agents, the first of every `sites` sites, each with a document of about `chars`. */
function bookOf(count: number, sites: number, chars = 0): AttestationBook {
  const [one] = book.latest.values();
  const latest = Array.from({ length: count }, (_, i): [string, HeldAttestation] => {
    const signed = {
      ...one?.signed,
      value: { ...one?.signed.value, site: `s${i % sites}`, issuedAt: NOW - i },
      jws: { payload: `${i}`.padEnd(chars, 'A'), signatures: [] },
    };
    return [`k${i}`, { signed, validUntilMs: NOW + 1 } as unknown as HeldAttestation];
  });
  return { ...book, latest: new Map(latest) };
}

function payloads(text: string | null): readonly string[] {
  const list = readAttestations(text ?? '') ?? [];
  return list.map((jws) => (jws as { payload: string }).payload.replace(/A+$/, ''));
}

describe('what a gateway writes', () => {
  test('is every valid word, as it was signed, the newest first', () => {
    const list = readAttestations(writeAttestations(book, NOW) ?? '');
    expect(list).toEqual(words.toReversed());
  });

  test('is nothing where no word is valid any more', () => {
    expect(writeAttestations(EMPTY_BOOK, NOW)).toBeNull();
    expect(writeAttestations(book, NOW + 15_000)).toBeNull();
  });

  test('begins with one of every site, because only sites count (C10)', () => {
    expect(payloads(writeAttestations(bookOf(6, 3), NOW))).toEqual(['0', '1', '2', '3', '4', '5']);
    const twins = bookOf(4, 4);
    const [a, b, c, d] = [...twins.latest.values()];
    const latest = new Map([a, b, c, d].map((one, i) => [`k${i}`, one as HeldAttestation]));
    for (const [i, one] of [...latest.values()].entries()) {
      Object.assign(one.signed.value, { site: i < 3 ? 'loud' : 'quiet' });
    }
    expect(payloads(writeAttestations({ ...book, latest }, NOW))).toEqual(['0', '3', '1', '2']);
  });

  test('fits its bound exactly, and one character more leaves a word out', () => {
    // 8,192 characters carry 6,144 bytes: brackets, one document and its comma.
    const room = (ATTESTATIONS_HEADER_CHARS_MAX * 3) / 4 - 3;
    const around = JSON.stringify({ payload: '', signatures: [] }).length;
    expect(payloads(writeAttestations(bookOf(1, 1, room - around), NOW))).toHaveLength(1);
    expect(writeAttestations(bookOf(1, 1, room - around + 1), NOW)).toBeNull();
  });

  test('a word that does not fit keeps none out that does', () => {
    const some = bookOf(3, 3, 100);
    const big = [...some.latest.values()][1];
    Object.assign(big?.signed.jws ?? {}, { payload: 'x'.repeat(ATTESTATIONS_HEADER_CHARS_MAX) });
    expect(payloads(writeAttestations(some, NOW))).toEqual(['0', '2']);
  });

  test('never exceeds its bound and can be read (law)', () => {
    fc.assert(
      fc.property(fc.nat(40), fc.integer({ min: 1, max: 9 }), fc.nat(3_000), (n, sites, chars) => {
        const text = writeAttestations(bookOf(n, sites, chars), NOW);
        if (text === null) return n === 0;
        return text.length <= ATTESTATIONS_HEADER_CHARS_MAX && payloads(text).length > 0;
      }),
    );
  });
});

describe('what an edge reads', () => {
  const packed = (text: string) => encodeBase64url(utf8(text));

  test.each([
    ['nothing', ''],
    ['no base64url', '*'],
    ['padding', `${packed('[]')}=`],
    ['no JSON', packed('words')],
    ['no list', packed('{}')],
    ['JSON of great depth', packed('['.repeat(1_000) + ']'.repeat(1_000))],
    ['more than the bound', packed(`["${'a'.repeat(ATTESTATIONS_HEADER_CHARS_MAX)}"]`)],
  ])('%s is none', (_, text) => {
    expect(readAttestations(text)).toBeNull();
  });
});

test.each([
  ['0', 0],
  ['2001', 2001],
  ['999999999999999', 999_999_999_999_999],
  ['', null],
  ['-1', null],
  ['1.5', null],
  ['01', null],
  ['9999999999999999', null],
  [undefined, null],
  [['1', '2'], null],
])('an age of %o is %o', (text, age) => {
  expect(readAge(text)).toBe(age);
});
