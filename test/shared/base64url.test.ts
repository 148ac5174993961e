import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeBase64url, encodeBase64url } from '../../shared/base64url.ts';

const hex = (text: string) => decodeBase64url(text)?.toHex() ?? 'refused';

// RFC 4648 section 10, without its padding; the last rows use the two letters of the URL alphabet.
test.each([
  ['', ''],
  ['66', 'Zg'],
  ['666f', 'Zm8'],
  ['666f6f', 'Zm9v'],
  ['666f6f62', 'Zm9vYg'],
  ['666f6f6261', 'Zm9vYmE'],
  ['666f6f626172', 'Zm9vYmFy'],
  ['fb', '-w'],
  ['ff', '_w'],
  ['fbefbe', '----'],
  ['ffffff', '____'],
])('bytes %s are written %j and read back', (bytes, text) => {
  expect(encodeBase64url(Uint8Array.fromHex(bytes))).toBe(text);
  expect(hex(text)).toBe(bytes);
});

// Attack: a second spelling of a signature or digest passes where the first was seen before.
test.each([
  ['padding', 'Zg=='],
  ['half the padding', 'Zg='],
  ['padding alone', '===='],
  ['the alphabet of plain base64, +', '+w'],
  ['the alphabet of plain base64, /', '/w'],
  ['a space inside', 'Zm 9v'],
  ['a space behind', 'Zm9v '],
  ['a space before', ' Zm9v'],
  ['a newline behind', 'Zm9v\n'],
  ['a tab inside', 'Zm9v\tYg'],
  ['a non-breaking space', 'Zm9v\u00a0'],
  ['a NUL', 'Zm9v\0'],
  ['a letter outside ASCII', 'Zm9\u00fc'],
  ['a full-width letter', 'Zm9\uff56'],
  ['a lone surrogate', 'Zm9\ud800'],
  ['a dot', 'Zm9v.Zm9v'],
  ['one letter', 'Z'],
  ['five letters', 'Zm9vY'],
  ['trailing bits behind one byte', 'Zh'],
  ['the last trailing bits behind one byte', 'Zv'],
  ['trailing bits behind two bytes', 'Zm9'],
])('%s is refused', (_, text) => {
  expect(hex(text)).toBe('refused');
});

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

test('of 64 last letters 4 are canonical behind one, 16 behind two, all behind three', () => {
  const canonical = (before: string) =>
    [...ALPHABET].filter((last) => decodeBase64url(before + last) !== null).length;
  expect([canonical('Z'), canonical('Zm'), canonical('Zm9')]).toEqual([4, 16, 64]);
});

test('law: every byte string comes back from its text', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(hex(encodeBase64url(bytes))).toBe(bytes.toHex());
    }),
    { seed: 1, numRuns: 500 },
  );
});

test('law: a text that is accepted is the one spelling of its bytes', () => {
  const unit = fc.constantFrom(...ALPHABET, '=', '+', '/', ' ', '\n');
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 12 }), (text) => {
      const bytes = decodeBase64url(text);
      return bytes === null || encodeBase64url(bytes) === text;
    }),
    { seed: 2, numRuns: 3000 },
  );
});

// The twin: a bit string, no library.
test('law: letters stand for six bits each, what is left over is zero', () => {
  const unit = fc.constantFrom(...ALPHABET);
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 11 }), (text) => {
      const bits = [...text].map((c) => ALPHABET.indexOf(c).toString(2).padStart(6, '0')).join('');
      const whole = bits.length - (bits.length % 8);
      const bytes = bits.slice(0, whole).match(/.{8}/g) ?? [];
      const spare = bits.slice(whole);
      const good = spare.length < 6 && !spare.includes('1');
      const twin = bytes.map((byte) => Number.parseInt(byte, 2).toString(16).padStart(2, '0'));
      expect(hex(text)).toBe(good ? twin.join('') : 'refused');
    }),
    { seed: 3, numRuns: 2000 },
  );
});

test('a view into a larger buffer is written as itself', () => {
  const larger = Uint8Array.fromHex('00666f6f00');
  expect(encodeBase64url(larger.subarray(1, 4))).toBe('Zm9v');
});
