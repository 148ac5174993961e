import fc from 'fast-check';
import { expect, test } from 'vitest';
import { utf8 } from '../../shared/canonical.ts';
import { digestBytes, digestOf, isDigest } from '../../shared/digest.ts';
import { crypto } from './kit.ts';

// FIPS 180-4 examples of SHA-256.
test.each([
  ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
])('the digest of %j is its SHA-256 in base64url', (text, hex) => {
  const expected = Uint8Array.fromHex(hex).toBase64({ alphabet: 'base64url', omitPadding: true });
  expect(digestBytes(utf8(text), crypto)).toBe(expected);
});

test('the digest of a value is that of its canonical text', () => {
  expect(digestOf({}, crypto)).toBe('RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o');
  expect(digestOf({ b: 1n, a: [true] }, crypto)).toBe(
    digestBytes(utf8('{"a":[true],"b":"1"}'), crypto),
  );
});

test('a digest is told from other text', () => {
  expect(isDigest('RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o')).toBe(true);
});

test.each([
  ['nothing', ''],
  ['31 bytes', 'A'.repeat(42)],
  ['33 bytes', 'A'.repeat(44)],
  ['64 bytes', 'A'.repeat(86)],
  ['padding', `${'A'.repeat(43)}=`],
  ['trailing bits', `${'A'.repeat(42)}B`],
  ['plain base64', `${'A'.repeat(41)}+A`],
  ['hex', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  ['a space', ` ${'A'.repeat(43)}`],
])('%s is no digest', (_, text) => {
  expect(isDigest(text)).toBe(false);
});

test('law: every digest is one, and other bytes have another', () => {
  const bytes = fc.uint8Array({ maxLength: 100 });
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      const one = digestBytes(a, crypto);
      expect(isDigest(one)).toBe(true);
      expect(one === digestBytes(b, crypto)).toBe(a.toHex() === b.toHex());
    }),
    { seed: 1, numRuns: 300 },
  );
});
