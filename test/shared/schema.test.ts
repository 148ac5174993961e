import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as z from 'zod/mini';
import { counterSchema, digestSchema, firstIssue, idSchema } from '../../shared/schema.ts';

test.each(['a', '0', 'eu1', 'a-b', 'a--b', 'x'.repeat(63), 'prototype', 'tostring'])(
  'the id %s is taken',
  (id) => {
    expect(idSchema.safeParse(id).data).toBe(id);
  },
);

test.each([
  ['nothing', ''],
  ['64 letters', 'x'.repeat(64)],
  ['a capital', 'Eu1'],
  ['a hyphen in front', '-a'],
  ['a hyphen behind', 'a-'],
  ['an underscore', 'a_b'],
  ['a dot', 'a.b'],
  ['a slash', 'a/b'],
  ['a space', 'a b'],
  ['a newline behind', 'a\n'],
  ['a letter outside ASCII', 'z\u00fcrich'],
  ['a Kelvin sign', '\u212a'],
  ['what every object inherits', 'constructor'],
  ['what every object inherits, in underscores', '__proto__'],
  ['a number', 1],
  ['null', null],
])('%s is no id', (_, id) => {
  expect(idSchema.safeParse(id).success).toBe(false);
});

// Attack: an id that every record seems to have.
test('no inherited name is an id', () => {
  const inherited = [Object.prototype, Array.prototype, Function.prototype, Map.prototype];
  const names = Object.getOwnPropertyNames(inherited[0]);
  expect(names.filter((name) => idSchema.safeParse(name).success)).toEqual([]);
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z0-9-]{1,20}$/), (text) => {
      return !idSchema.safeParse(text).success || !(text in {});
    }),
    { seed: 1, numRuns: 500 },
  );
});

test('a record of ids refuses a key that is none, never drops it', () => {
  const records = z.record(idSchema, z.string());
  expect(records.safeParse(JSON.parse('{"a":"x","B":"y"}')).success).toBe(false);
  expect(records.safeParse(JSON.parse('{"a":"x","constructor":"y"}')).success).toBe(false);
});

test.each([
  ['0', 0n],
  ['1', 1n],
  ['9007199254740993', 9_007_199_254_740_993n],
  ['9223372036854775807', 9_223_372_036_854_775_807n],
])('the counter %j is read', (text, value) => {
  expect(counterSchema.safeParse(text).data).toBe(value);
});

test.each([
  ['nothing', ''],
  ['a leading zero', '01'],
  ['two zeros', '00'],
  ['a sign', '+1'],
  ['a negative', '-1'],
  ['a negative zero', '-0'],
  ['a fraction', '1.0'],
  ['an exponent', '1e3'],
  ['hex', '0x10'],
  ['a space', ' 1'],
  ['a newline behind', '1\n'],
  ['an underscore', '1_000'],
  ['other digits', '\u0661'],
  ['text', 'one'],
  ['a number', 1],
  ['a bigint', 1n],
  ['one more than 64 bits', '18446744073709551616'],
])('%s is no counter', (_, text) => {
  expect(counterSchema.safeParse(text).success).toBe(false);
});

test('64 bits end in one place: with the sign bit or without it, not between', () => {
  const taken = [
    2n ** 63n,
    9_999_999_999_999_999_999n,
    10_000_000_000_000_000_000n,
    2n ** 64n - 1n,
  ].map((value) => counterSchema.safeParse(String(value)).success);
  expect(new Set(taken).size).toBe(1);
});

test('law: every number of 63 bits comes back from its text', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), (value) => {
      expect(counterSchema.safeParse(String(value)).data).toBe(value);
    }),
    { seed: 2, numRuns: 500 },
  );
});

test('law: a counter has one spelling', () => {
  const unit = fc.constantFrom(...'0123456789+-.e_ n');
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 20 }), (text) => {
      const parsed = counterSchema.safeParse(text);
      return !parsed.success || String(parsed.data) === text;
    }),
    { seed: 3, numRuns: 2000 },
  );
});

test('a digest is 32 bytes in strict base64url', () => {
  expect(digestSchema.safeParse('A'.repeat(43)).success).toBe(true);
  for (const text of ['A'.repeat(42), `${'A'.repeat(42)}B`, `${'A'.repeat(43)}=`, '', 7, null]) {
    expect(digestSchema.safeParse(text).success).toBe(false);
  }
});

test.each([
  ['in a field', { a: { b: 'B' } }, 'a.b: lower-case letters, digits, hyphens; at most 63'],
  ['a field that is missing', { a: {} }, 'a.b: '],
  ['in a name of a record', { a: { b: 'b' }, r: { B: 1 } }, 'r.B: '],
  // C4: who is refused must be able to see which field this version does not know.
  ['a field that nobody knows', { a: { b: 'b' }, surplus: 1 }, 'surplus'],
  ['a field that nobody knows, deeper', { a: { b: 'b', surplus: 1 } }, 'surplus'],
])('the first fault is named, %s', (_, value, says) => {
  const schema = z.strictObject({
    a: z.strictObject({ b: idSchema }),
    r: z.optional(z.record(idSchema, z.number())),
  });
  const { error } = schema.safeParse(value);
  expect(error && firstIssue(error)).toContain(says);
});
