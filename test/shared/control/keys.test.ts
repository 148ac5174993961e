import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeBase64url } from '../../../shared/base64url.ts';
import { utf8 } from '../../../shared/canonical.ts';
import { enrol, thumbprint } from '../../../shared/control/keys.ts';
import rfc8037 from '../../vectors/rfc8037.json' with { type: 'json' };
import { cryptoContract } from '../crypto-contract.ts';
import { add, hasSmallOrder, keyOf, P, pointOf, smallOrderYs } from '../curve.ts';
import { crypto, keyNamed } from '../kit.ts';

describe('the crypto port of the kit', () => cryptoContract(crypto));

const hex = (text: string) => Uint8Array.fromHex(text);

/** 'enrolled', or the detail of the refusal. */
function outcome(key: Uint8Array): string {
  return outcomeOf(encodeBase64url(key));
}

function outcomeOf(x: string): string {
  const result = enrol(x);
  if (result instanceof Uint8Array) return 'enrolled';
  expect(result.code).toBe('trust-key');
  return result.detail;
}

const SMALL = 'the key has small order';
const NOT_CANONICAL = 'the key is not in canonical form';
const NOT_32 = 'a key is 32 bytes in strict base64url';

// The eight points, their second spellings with the needless sign bit (x = 0) and those with y + p.
// The y are those of libsodium's ge25519_has_small_order, and are computed again below.
const SPELLINGS: readonly (readonly [string, string, string])[] = [
  ['order 1', `01${'00'.repeat(31)}`, SMALL],
  ['order 1, sign bit', `01${'00'.repeat(30)}80`, SMALL],
  ['order 1, y + p', `ee${'ff'.repeat(30)}7f`, NOT_CANONICAL],
  ['order 1, y + p, sign bit', `ee${'ff'.repeat(31)}`, NOT_CANONICAL],
  ['order 2', `ec${'ff'.repeat(30)}7f`, SMALL],
  ['order 2, sign bit', `ec${'ff'.repeat(31)}`, SMALL],
  ['order 4', '00'.repeat(32), SMALL],
  ['order 4, the other', `${'00'.repeat(31)}80`, SMALL],
  ['order 4, y + p', `ed${'ff'.repeat(30)}7f`, NOT_CANONICAL],
  ['order 4, the other, y + p', `ed${'ff'.repeat(31)}`, NOT_CANONICAL],
  ['order 8', '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', SMALL],
  ['order 8, second', '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85', SMALL],
  ['order 8, third', 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a', SMALL],
  ['order 8, fourth', 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa', SMALL],
];

// Attack: a key that nobody holds, under which a signature made by nobody verifies (C5).
describe('keys of small order', () => {
  test.each(SPELLINGS)('%s is refused: %s', (_, key, detail) => {
    expect(outcome(hex(key))).toBe(detail);
  });

  test('the table is the whole of them: computed, each y below 2^255, with both signs', () => {
    const spelled = smallOrderYs()
      .flatMap((y) => [y, y + P])
      .filter((y) => y < 2n ** 255n)
      .flatMap((y) => [keyOf(y, 0).toHex(), keyOf(y, 1).toHex()]);
    expect(new Set(spelled)).toEqual(new Set(SPELLINGS.map(([, key]) => key)));
    for (const key of spelled) {
      const point = pointOf(hex(key));
      expect(point !== null && hasSmallOrder(point)).toBe(true);
    }
  });
});

describe('y of p and more', () => {
  test('all 19 values, with both signs, are refused', () => {
    for (let y = P; y < 2n ** 255n; y++) {
      expect(outcome(keyOf(y, 0))).toBe(NOT_CANONICAL);
      expect(outcome(keyOf(y, 1))).toBe(NOT_CANONICAL);
    }
  });

  // Whether there is such a point does not matter here: the bound does.
  test('just below p, past the one of order 2, nothing is refused for its form', () => {
    expect(outcome(keyOf(P - 1n, 0))).toBe(SMALL);
    const below = Array.from({ length: 64 }, (_, i) => P - 2n - BigInt(i));
    for (const y of below.filter((one) => pointOf(keyOf(one, 0)) !== null)) {
      expect(outcome(keyOf(y, 0))).toBe('enrolled');
      expect(outcome(keyOf(y, 1))).toBe('enrolled');
    }
  });

  test.each([1, 8, 15, 30])('one bit less in byte %i is below p', (at) => {
    const key = hex(`ff${'ff'.repeat(30)}7f`);
    key[at] = 0xfe;
    expect(outcome(key)).not.toBe(NOT_CANONICAL);
  });
});

describe('the text of a key', () => {
  const { x } = rfc8037.jwk;

  test('the key of RFC 8037 is enrolled as its bytes', () => {
    const key = enrol(x);
    expect(key instanceof Uint8Array && encodeBase64url(key)).toBe(x);
  });

  test.each([
    ['nothing', ''],
    ['31 bytes', encodeBase64url(new Uint8Array(31).fill(9))],
    ['33 bytes', encodeBase64url(new Uint8Array(33).fill(9))],
    ['64 bytes', encodeBase64url(new Uint8Array(64).fill(9))],
    ['padding', `${x}=`],
    ['a space', `${x} `],
    ['plain base64', x.replace('-', '+').replace('_', '/')],
    ['trailing bits', `${x.slice(0, -1)}p`],
    ['PEM', '-----BEGIN PUBLIC KEY-----'],
  ])('%s is refused', (_, text) => {
    expect(text).not.toBe(x);
    expect(outcomeOf(text)).toBe(NOT_32);
  });

  test('the thumbprint is that of RFC 8037 A.3', () => {
    expect(thumbprint(x, crypto)).toBe(rfc8037.thumbprint);
  });
});

test('law: an honest key is enrolled', () => {
  fc.assert(
    fc.property(fc.string(), (name) => {
      expect(outcomeOf(keyNamed(name).x)).toBe('enrolled');
    }),
    { seed: 1, numRuns: 200 },
  );
});

// The twin computes eight times the point. Points of mixed order are honest keys shifted by one of
// small order: they are no danger, since their holder must still sign.
test('law: of the points of the curve those of small order are refused, and no other', () => {
  const small = SPELLINGS.map(([, key]) => hex(key));
  const honest = fc.string().map((name) => hex(toHex(keyNamed(name).x)));
  const key = fc.oneof(
    fc.constantFrom(...small),
    honest,
    fc.tuple(honest, fc.constantFrom(...small)).map(([a, b]) => sum(a, b)),
  );
  fc.assert(
    fc.property(key, (bytes) => {
      const point = pointOf(bytes);
      expect(point).not.toBeNull();
      if (point === null) return;
      expect(outcome(bytes) === 'enrolled').toBe(!hasSmallOrder(point));
    }),
    { seed: 2, numRuns: 60 },
  );
});

function toHex(x: string): string {
  return Uint8Array.fromBase64(x, { alphabet: 'base64url' }).toHex();
}

function sum(a: Uint8Array, b: Uint8Array): Uint8Array {
  const [p, q] = [pointOf(a), pointOf(b)];
  if (p === null || q === null) throw new Error('not a point');
  const { x, y } = add(p, q);
  return keyOf(y, x & 1n ? 1 : 0);
}

test('law: any bytes are judged, and only 32 of them can be enrolled', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      return outcome(bytes) !== 'enrolled' || bytes.length === 32;
    }),
    { seed: 3, numRuns: 500 },
  );
});

test('a key that is no point of the curve is enrolled, but nothing holds under it', async () => {
  const y2 = hex(`02${'00'.repeat(31)}`);
  expect(pointOf(y2)).toBeNull();
  expect(outcome(y2)).toBe('enrolled');
  expect(await crypto.verify(y2, utf8('a'), hex(`01${'00'.repeat(63)}`))).toBe(false);
});
