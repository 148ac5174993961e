import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  canonical,
  canonicalBytes,
  parseCanonical,
  parseJson,
  toWire,
  utf8,
  utf8Length,
} from '../../shared/canonical.ts';
import { NESTING_MAX } from '../../shared/limits.ts';
import jcs from '../vectors/jcs.json' with { type: 'json' };

describe('RFC 8785 vectors', () => {
  test.each(jcs.cases)('$name: the input has the published canonical form', (vector) => {
    const { input, output, outputHex } = vector;
    expect(canonical(JSON.parse(input))).toBe(output);
    expect(canonicalBytes(JSON.parse(input)).toHex()).toBe(outputHex);
    expect(parseJson(input)).toEqual({ value: JSON.parse(output) });
  });

  test.each(jcs.cases)('$name: the output is read, the input is not canonical', (vector) => {
    const { input, output, outputHex } = vector;
    expect(parseCanonical(Uint8Array.fromHex(outputHex))).toEqual({ value: JSON.parse(output) });
    expect(parseCanonical(utf8(input))).toBeNull();
  });
});

// RFC 8785 appendix B: IEEE 754 bits and the one text.
test.each([
  ['0000000000000000', '0'],
  ['8000000000000000', '0'],
  ['0000000000000001', '5e-324'],
  ['8000000000000001', '-5e-324'],
  ['7fefffffffffffff', '1.7976931348623157e+308'],
  ['ffefffffffffffff', '-1.7976931348623157e+308'],
  ['4340000000000000', '9007199254740992'],
  ['c340000000000000', '-9007199254740992'],
  ['4430000000000000', '295147905179352830000'],
  ['44b52d02c7e14af5', '9.999999999999997e+22'],
  ['44b52d02c7e14af6', '1e+23'],
  ['44b52d02c7e14af7', '1.0000000000000001e+23'],
  ['444b1ae4d6e2ef4e', '999999999999999700000'],
  ['444b1ae4d6e2ef4f', '999999999999999900000'],
  ['444b1ae4d6e2ef50', '1e+21'],
  ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
  ['3eb0c6f7a0b5ed8d', '0.000001'],
  ['41b3de4355555553', '333333333.3333332'],
  ['41b3de4355555554', '333333333.33333325'],
  ['41b3de4355555555', '333333333.3333333'],
  ['41b3de4355555556', '333333333.3333334'],
  ['41b3de4355555557', '333333333.33333343'],
  ['becbf647612f3696', '-0.0000033333333333333333'],
  ['43143ff3c1cb0959', '1424953923781206.2'],
])('the double %s is written %s', (bits, text) => {
  const value = new DataView(Uint8Array.fromHex(bits).buffer).getFloat64(0);
  expect(canonical(value)).toBe(text);
  expect(parseCanonical(utf8(text))).toEqual({ value: value === 0 ? 0 : value });
});

test.each([
  ['NaN', Number.NaN],
  ['infinity', Number.POSITIVE_INFINITY],
  ['a lone surrogate', '\ud800'],
  ['a lone surrogate in a name', { '\udfff': 1 }],
  ['undefined', undefined],
])('%s has no canonical form, which is a bug of the caller', (_, value) => {
  expect(() => canonical(value)).toThrow();
});

test('a 64-bit number is written as a decimal string', () => {
  expect(canonical({ v: 18_446_744_073_709_551_615n, w: [0n, -1n] })).toBe(
    '{"v":"18446744073709551615","w":["0","-1"]}',
  );
});

test('an absent member stays absent', () => {
  expect(canonical({ a: undefined, b: null })).toBe('{"b":null}');
});

test('names are ordered by UTF-16 code units, not by code points', () => {
  expect(canonical({ '\ufb33': 1, '\ud83d\ude02': 2, b: 3, a: 4 })).toBe(
    '{"a":4,"b":3,"\ud83d\ude02":2,"\ufb33":1}',
  );
});

// Attack: text that two parsers read differently, or that hides bytes from a digest.
test.each([
  ['a space behind a colon', '{"a": 1}'],
  ['a space before', ' {"a":1}'],
  ['a newline behind', '{"a":1}\n'],
  ['another order of members', '{"b":1,"a":2}'],
  ['a duplicate member', '{"a":1,"a":1}'],
  ['a duplicate member spelled otherwise', '{"a":1,"\\u0061":2}'],
  ['1.0', '[1.0]'],
  ['1e0', '[1e0]'],
  ['1E30', '[1E30]'],
  ['-0', '[-0]'],
  ['a number that no double holds', '[9007199254740993]'],
  ['a number beyond every double', '[1e400]'],
  ['a leading zero', '[01]'],
  ['NaN', '[NaN]'],
  ['a needless escape', '["\\u0041"]'],
  ['an escaped slash', '["\\/"]'],
  ['an escape in capitals', '["\\u000F"]'],
  ['a long escape for newline', '["\\u000a"]'],
  ['an escaped letter outside ASCII', '["\\u20ac"]'],
  ['a lone surrogate', '["\\ud800"]'],
  ['a lone low surrogate', '["\\udc00"]'],
  ['surrogates in the wrong order', '["\\ude02\\ud83d"]'],
  ['a lone surrogate as a name', '{"\\ud800":1}'],
  ['a comma behind the last', '[1,]'],
  ['a comment', '[1]//'],
  ['two values', '1 2'],
  ['nothing', ''],
  ['an open bracket', '[1'],
  ['a byte order mark', '\ufeff{"a":1}'],
  ['single quotes', "{'a':1}"],
])('%s is not canonical', (_, text) => {
  expect(parseCanonical(utf8(text))).toBeNull();
});

test.each([
  ['an overlong slash', '22c0af22'],
  ['a surrogate in UTF-8', '22eda08022'],
  ['a continuation byte alone', '228022'],
  ['a cut character', '22e282'],
  ['a code point beyond Unicode', '22f490808022'],
  ['UTF-16', '22002200'],
])('%s is not UTF-8', (_, bytes) => {
  expect(parseCanonical(Uint8Array.fromHex(bytes))).toBeNull();
});

test.each(['null', 'true', '0', '""', '[]', '{}', '"\u007f"', '"\u2028"'])(
  '%s is canonical',
  (text) => {
    expect(parseCanonical(utf8(text))).toEqual({ value: JSON.parse(text) });
  },
);

describe('nesting', () => {
  const arrays = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
  const objects = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;

  test.each([
    ['arrays', arrays],
    ['objects', objects],
  ])('%s: the bound is read, one more is refused', (_, nested) => {
    expect(parseCanonical(utf8(nested(NESTING_MAX)))).not.toBeNull();
    expect(parseCanonical(utf8(nested(NESTING_MAX + 1)))).toBeNull();
    expect(parseJson(nested(NESTING_MAX))).not.toBeNull();
    expect(parseJson(nested(NESTING_MAX + 1))).toBeNull();
  });

  test('a million brackets are refused, not a stack overflow', () => {
    expect(parseCanonical(utf8(arrays(1_000_000)))).toBeNull();
    expect(parseCanonical(utf8('['.repeat(1_000_000)))).toBeNull();
    expect(parseJson(objects(1_000_000))).toBeNull();
  });

  test('brackets in strings do not count, also behind an escaped quote', () => {
    const text = canonical([`"${'['.repeat(100)}\\`, '{'.repeat(100)]);
    expect(parseCanonical(utf8(text))).not.toBeNull();
  });

  test('brackets side by side do not count', () => {
    expect(parseCanonical(utf8(canonical(Array.from({ length: 100 }, () => [[]]))))).not.toBeNull();
  });

  test('brackets behind an escaped quote count', () => {
    const deep = `["\\"",${arrays(NESTING_MAX)}]`;
    expect(parseCanonical(utf8(deep))).toBeNull();
  });
});

test.each([
  ['spaces and another order', '{ "b":1, "a":2 }', { a: 2, b: 1 }],
  ['1.0', '[1.0]', [1]],
])('%s is JSON all the same', (_, text, value) => {
  expect(parseJson(text)).toEqual({ value });
});

test.each([
  ['a lone surrogate', '["\\ud800"]'],
  ['a number beyond every double', '[1e400]'],
  ['no JSON', '{a:1}'],
  ['a byte order mark', '\ufeff[]'],
])('%s is refused as a container too', (_, text) => {
  expect(parseJson(text)).toBeNull();
});

// Attack: `__proto__` is an ordinary member of JSON, but assigning to it sets a prototype. What
// one party drops and the other digests gives one name to two contents.
describe('the member __proto__', () => {
  const hostile = '{"__proto__":{"a":1},"b":2}';

  test('is refused or kept, never dropped', () => {
    const parsed = parseCanonical(utf8(hostile));
    if (parsed !== null) expect(canonical(parsed.value)).toBe(hostile);
  });

  test('is refused or kept by the wire form', () => {
    const parsed = parseJson(hostile);
    if (parsed === null) return;
    const wire = toWire(parsed.value);
    expect(Object.getPrototypeOf(wire)).toBe(Object.prototype);
    expect(JSON.stringify(wire)).toBe(hostile);
  });
});

const json = fc
  .jsonValue({ maxDepth: 4, stringUnit: 'binary' })
  .filter((value) => !JSON.stringify(value).includes('"__proto__"'));
const name = fc.string({ unit: 'binary' }).filter((text) => text !== '__proto__');

test('law: what is written is read back, as the same text', () => {
  fc.assert(
    fc.property(json, (value) => {
      const text = canonical(value);
      const parsed = parseCanonical(utf8(text));
      expect(parsed).not.toBeNull();
      expect(canonical(parsed?.value)).toBe(text);
    }),
    { seed: 1, numRuns: 400 },
  );
});

test('law: the order in which members were added does not show', () => {
  const members = fc.uniqueArray(fc.tuple(name, json), {
    selector: ([text]) => text,
    maxLength: 8,
  });
  fc.assert(
    fc.property(members, fc.nat(), (list, by) => {
      const turn = by % Math.max(1, list.length);
      const turned = [...list.slice(turn), ...list.slice(0, turn)];
      expect(canonical(Object.fromEntries(turned))).toBe(canonical(Object.fromEntries(list)));
    }),
    { seed: 2, numRuns: 200 },
  );
});

test('law: any other text of the same value is refused', () => {
  fc.assert(
    fc.property(json, fc.integer({ min: 1, max: 4 }), (value, indent) => {
      const spaced = JSON.stringify(value, null, indent);
      const text = canonical(value);
      return spaced === text || parseCanonical(utf8(spaced)) === null;
    }),
    { seed: 3, numRuns: 200 },
  );
});

test('law: text that is accepted is its own canonical form', () => {
  const unit = fc.constantFrom(...'{}[]",:0123456789.eE+-\\u "atrunlfs');
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 10 }), (text) => {
      const parsed = parseCanonical(utf8(text));
      return parsed === null || canonical(parsed.value) === text;
    }),
    { seed: 4, numRuns: 5000 },
  );
});

test('law: a document that is read can be written, and its wire form is itself', () => {
  fc.assert(
    fc.property(json, (value) => {
      const parsed = parseJson(JSON.stringify(value));
      expect(parsed).not.toBeNull();
      expect(canonical(toWire(parsed?.value))).toBe(canonical(value));
    }),
    { seed: 5, numRuns: 200 },
  );
});

test('law: the length in bytes is that of the bytes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => utf8Length(text) === utf8(text).length),
    { seed: 6, numRuns: 300 },
  );
  expect([
    utf8Length(''),
    utf8Length('a'),
    utf8Length('\u20ac'),
    utf8Length('\ud83d\ude02'),
  ]).toEqual([0, 1, 3, 4]);
});
