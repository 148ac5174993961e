import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as z from 'zod/mini';
import { canonical, utf8 } from '../../../shared/canonical.ts';
import {
  type DocumentKind,
  decodeJws,
  type Jws,
  type Keyring,
  signJws,
  type Verified,
  verifyJws,
} from '../../../shared/control/jws.ts';
import { isRefusal } from '../../../shared/control/refusal.ts';
import { digestBytes } from '../../../shared/digest.ts';
import { NESTING_MAX, SIGNATURES_MAX } from '../../../shared/limits.ts';
import { counterSchema } from '../../../shared/schema.ts';
import rfc8037 from '../../vectors/rfc8037.json' with { type: 'json' };
import { crypto, keyNamed, type TestKey } from '../kit.ts';
import { headerText, signParts, signTexts } from '../raw-jws.ts';

const TYP = 'portolan-join+json';
const MAX_BYTES = 600;

const orderSchema = z.strictObject({ n: counterSchema, say: z.unknown() });
const kind: DocumentKind<{ n: bigint; say: unknown }> = {
  typ: TYP,
  maxBytes: MAX_BYTES,
  schema: orderSchema,
};
const anything: DocumentKind<unknown> = { typ: TYP, maxBytes: MAX_BYTES, schema: z.unknown() };

const alice = keyNamed('alice');
const bob = keyNamed('bob');
const mallory = keyNamed('mallory');
const ORDER = { n: 7n, say: 'hello' };
const ORDER_TEXT = '{"n":"7","say":"hello"}';
const HEADER = headerText(alice.kid, TYP);

const keyring: Keyring = (kid) => {
  const key = [alice, bob].find((one) => one.kid === kid);
  return key === undefined ? null : bytesOf(key);
};

function bytesOf({ x }: TestKey): Uint8Array {
  return Uint8Array.fromBase64(x, { alphabet: 'base64url' });
}

async function open<T>(input: unknown, of: DocumentKind<T>): Promise<Verified<T> | string> {
  const decoded = decodeJws(input, of, crypto);
  if (!('claimed' in decoded)) return decoded.code;
  const verified = await verifyJws(decoded, keyring, crypto);
  return 'code' in verified ? verified.code : verified;
}

async function outcome(input: unknown, of: DocumentKind<unknown> = kind): Promise<string> {
  const opened = await open(input, of);
  return typeof opened === 'string' ? opened : 'verified';
}

const order = (...signers: readonly TestKey[]) => signJws(TYP, ORDER, signers);
const first = (jws: Jws) => jws.signatures[0] ?? { protected: '', signature: '' };

describe('a signed document', () => {
  test('is verified: value, digest of the payload, keys in order', async () => {
    const jws = await order(bob, alice);
    const opened = await open(jws, kind);
    expect(opened).toEqual({
      value: ORDER,
      digest: digestBytes(utf8(ORDER_TEXT), crypto),
      kids: [bob.kid, alice.kid],
      jws,
    });
  });

  test('is canonical JSON under a header of alg, kid and typ', async () => {
    expect(await order(alice)).toEqual(await signTexts(HEADER, ORDER_TEXT, alice));
  });

  test('has one digest, whoever signed it', async () => {
    const [one, two] = [await open(await order(alice), kind), await open(await order(bob), kind)];
    expect(one).toHaveProperty('digest', digestBytes(utf8(ORDER_TEXT), crypto));
    expect(two).toHaveProperty('digest', digestBytes(utf8(ORDER_TEXT), crypto));
  });
});

describe('size', () => {
  const say = (bytes: number) => ({ n: 1n, say: 'x'.repeat(bytes - '{"n":"1","say":""}'.length) });

  test.each([MAX_BYTES - 2, MAX_BYTES - 1, MAX_BYTES])('%i bytes are taken', async (bytes) => {
    expect(await outcome(await signJws(TYP, say(bytes), [alice]))).toBe('verified');
  });

  test.each([MAX_BYTES + 1, MAX_BYTES + 2, MAX_BYTES + 3])('%i are too large', async (bytes) => {
    expect(await outcome(await signJws(TYP, say(bytes), [alice]))).toBe('too-large');
  });

  test.each([1, 2, 3, 4, 5])('a bound of %i bytes is exact', async (maxBytes) => {
    for (const [bytes, expected] of [
      [maxBytes, 'verified'],
      [maxBytes + 1, 'too-large'],
    ] as const) {
      const jws = await signTexts(HEADER, '1'.repeat(bytes), alice);
      expect(await outcome(jws, { ...anything, maxBytes })).toBe(expected);
    }
  });

  test('is judged before encoding and signatures', async () => {
    const jws = { ...(await order(mallory)), payload: '='.repeat(MAX_BYTES * 2) };
    expect(await outcome(jws)).toBe('too-large');
  });

  test('a header has a bound too', async () => {
    const jws = await signTexts(headerText('k'.repeat(100_000), TYP), ORDER_TEXT, alice);
    expect(['too-large', 'malformed', 'encoding']).toContain(await outcome(jws));
  });

  const signers = Array.from({ length: SIGNATURES_MAX + 1 }, (_, i) => keyNamed(`signer ${i}`));

  test('the most signatures are read, one more is not', async () => {
    const most = decodeJws(await order(...signers.slice(0, SIGNATURES_MAX)), kind, crypto);
    expect('claimed' in most && most.signatures).toHaveLength(SIGNATURES_MAX);
    expect(await outcome(await order(...signers))).toBe('malformed');
  });
});

describe('the container', () => {
  test.each([
    ['null', null],
    ['text', 'eyJ'],
    ['an array', []],
    ['nothing in it', {}],
  ])('%s is malformed', async (_, input) => {
    expect(await outcome(input)).toBe('malformed');
  });

  test('it is exactly a payload and signatures', async () => {
    const jws = await order(alice);
    const [one] = jws.signatures;
    for (const input of [
      { ...jws, header: {} },
      { ...jws, protected: one?.protected, signature: one?.signature },
      { payload: jws.payload, ...one },
      { payload: jws.payload },
      { signatures: jws.signatures },
      { ...jws, signatures: [] },
      { ...jws, signatures: one },
      { ...jws, signatures: [null] },
      // An unprotected header is signed by nobody.
      { ...jws, signatures: [{ ...one, header: { kid: bob.kid } }] },
      { ...jws, signatures: [{ signature: one?.signature }] },
      { ...jws, payload: ORDER },
      JSON.parse(JSON.stringify(jws).replace('{', '{"__proto__":{},')),
    ]) {
      expect(await outcome(input)).toBe('malformed');
    }
  });
});

describe('encoding', () => {
  // Attack: one signature in many spellings passes where its digest is what was seen before.
  const respell = [
    ['padding', (text: string) => `${text}=`],
    ['two letters of padding', (text: string) => `${text}==`],
    ['a space behind', (text: string) => `${text} `],
    ['a newline inside', (text: string) => `${text.slice(0, 4)}\n${text.slice(4)}`],
    ['a letter of plain base64', (text: string) => `+${text.slice(1)}`],
    ['a dot', (text: string) => `${text}.`],
    ['a letter more than bytes', (text: string) => text.slice(0, 1 + ((text.length - 1) & ~3))],
  ] as const;

  test.each(respell)('%s is refused in payload, header and signature', async (_, change) => {
    const good = await order(alice);
    const { protected: header, signature } = first(good);
    const payloadChanged = await signParts(header, change(good.payload), alice);
    const headerChanged = await signParts(change(header), good.payload, alice);
    expect(await outcome(payloadChanged)).toBe('encoding');
    expect(await outcome(headerChanged)).toBe('encoding');
    const signatures = [{ protected: header, signature: change(signature) }];
    expect(await outcome({ ...good, signatures })).toBe('encoding');
  });

  test('of 64 last letters of a signature one is taken', async () => {
    const good = await order(alice);
    const { protected: header, signature } = first(good);
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const outcomes = [...letters].map(async (last) =>
      outcome({
        ...good,
        signatures: [{ protected: header, signature: signature.slice(0, -1) + last }],
      }),
    );
    const counts = Map.groupBy(await Promise.all(outcomes), (one) => one);
    expect([...counts].map(([code, all]) => `${code} ${all.length}`).sort()).toEqual([
      'encoding 60',
      'signature 3',
      'verified 1',
    ]);
  });

  test.each([0, 1, 32, 63, 65, 96, 128])('a signature of %i bytes is refused', async (bytes) => {
    const good = await order(alice);
    const signature = new Uint8Array(bytes).toBase64({ alphabet: 'base64url', omitPadding: true });
    const signatures = [{ ...first(good), signature }];
    expect(await outcome({ ...good, signatures })).toBe('encoding');
  });

  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

  test.each([
    ['a space', '{"n":"7", "say":"hello"}'],
    ['a newline behind', `${ORDER_TEXT}\n`],
    ['another order of members', '{"say":"hello","n":"7"}'],
    ['a duplicate member', '{"n":"7","n":"8","say":1}'],
    ['a duplicate member spelled otherwise', '{"n":"7","\\u006e":"8","say":1}'],
    ['1.0', '{"n":"7","say":1.0}'],
    ['a number that no double holds', '{"n":"7","say":9007199254740993}'],
    ['a lone surrogate', '{"n":"7","say":"\\ud800"}'],
    ['a lone surrogate in a name', '{"n":"7","say":{"\\ud800":1}}'],
    ['a needless escape', '{"n":"7","say":"\\u0041"}'],
    ['a byte order mark', `\ufeff${ORDER_TEXT}`],
    ['one bracket too deep', `{"n":"7","say":${nested(NESTING_MAX)}}`],
    ['no JSON', 'hello'],
    ['nothing', ''],
  ])('a payload with %s is refused', async (_, text) => {
    expect(await outcome(await signTexts(HEADER, text, alice))).toBe('encoding');
  });

  test('a payload as deep as is allowed is taken', async () => {
    const text = `{"n":"7","say":${nested(NESTING_MAX - 1)}}`;
    expect(await outcome(await signTexts(HEADER, text, alice))).toBe('verified');
  });
});

describe('the schema', () => {
  test.each([
    ['a field that is unknown', '{"n":"7","say":1,"then":2}'],
    ['a field that is missing', '{"say":1}'],
    ['a number for a counter', '{"n":7,"say":1}'],
    ['another shape', '[]'],
  ])('%s is malformed', async (_, text) => {
    expect(await outcome(await signTexts(HEADER, text, alice))).toBe('malformed');
  });
});

test('a member __proto__ has no canonical form', async () => {
  const text = '{"__proto__":{"n":"8"},"n":"7","say":1}';
  expect(await outcome(await signTexts(HEADER, text, alice))).toBe('encoding');
});

describe('the header', () => {
  const KID = alice.kid;

  // Attack: a header that brings its own key, algorithm or rules.
  test.each([
    ['an embedded key', headerText(KID, TYP, { jwk: { kty: 'OKP', x: mallory.x } }), 'malformed'],
    ['a certificate', headerText(KID, TYP, { x5c: ['AA'] }), 'malformed'],
    ['a place of keys', headerText(KID, TYP, { jku: 'https://mallory.example' }), 'malformed'],
    ['crit', headerText(KID, TYP, { crit: ['b64'] }), 'malformed'],
    ['b64', headerText(KID, TYP, { b64: true }), 'malformed'],
    ['a content type', headerText(KID, TYP, { cty: 'json' }), 'malformed'],
    ['__proto__', HEADER.replace('{', '{"__proto__":{},'), 'malformed'],
    ['no kid', canonical({ alg: 'Ed25519', typ: TYP }), 'malformed'],
    ['no alg', canonical({ kid: KID, typ: TYP }), 'malformed'],
    ['no typ', canonical({ alg: 'Ed25519', kid: KID }), 'malformed'],
    ['a kid that is no text', canonical({ alg: 'Ed25519', kid: 1, typ: TYP }), 'malformed'],
    ['EdDSA', headerText(KID, TYP, { alg: 'EdDSA' }), 'algorithm'],
    ['none', headerText(KID, TYP, { alg: 'none' }), 'algorithm'],
    ['HS256', headerText(KID, TYP, { alg: 'HS256' }), 'algorithm'],
    ['ed25519 in lower case', headerText(KID, TYP, { alg: 'ed25519' }), 'algorithm'],
    ['an empty algorithm', headerText(KID, TYP, { alg: '' }), 'algorithm'],
    ['the typ of a commit', headerText(KID, 'portolan-commit+json'), 'malformed'],
    ['a typ in capitals', headerText(KID, TYP, { typ: TYP.toUpperCase() }), 'malformed'],
    ['a typ as a media type', headerText(KID, TYP, { typ: `application/${TYP}` }), 'malformed'],
    ['another order', `{"kid":"${KID}","alg":"Ed25519","typ":"${TYP}"}`, 'malformed'],
    ['a space', HEADER.replace(',', ', '), 'malformed'],
    ['a duplicate', HEADER.replace('{', '{"alg":"none",'), 'malformed'],
    ['null', 'null', 'malformed'],
    ['nothing', '', 'malformed'],
    ['deep brackets', '['.repeat(NESTING_MAX + 1), 'malformed'],
  ])('%s is refused', async (_, header, code) => {
    expect(await outcome(await signTexts(header, ORDER_TEXT, alice))).toBe(code);
  });

  test('RFC 8037 A.4, whose header names neither key nor kind, is refused', async () => {
    const [header = '', payload = '', signature = ''] = rfc8037.jws.split('.');
    const jws = { payload, signatures: [{ protected: header, signature }] };
    expect(await outcome(jws, anything)).toBe('malformed');
  });
});

describe('keys and signatures', () => {
  test('a key that the keyring does not name is refused, also beside a good one', async () => {
    expect(await outcome(await order(mallory))).toBe('key-unknown');
    expect(await outcome(await order(alice, mallory))).toBe('key-unknown');
    expect(await outcome(await order(mallory, alice))).toBe('key-unknown');
  });

  test.each(['constructor', '__proto__', 'toString', ''])('nor is a key %j', async (kid) => {
    expect(await outcome(await signTexts(headerText(kid, TYP), ORDER_TEXT, alice))).toBe(
      'key-unknown',
    );
  });

  // C5: thresholds count distinct keys.
  test('a key that signed twice is refused, wherever it stands', async () => {
    expect(await outcome(await order(alice, alice))).toBe('malformed');
    expect(await outcome(await order(alice, bob, alice))).toBe('malformed');
  });

  test('a signature by another key than the header names is refused', async () => {
    expect(await outcome(await signTexts(headerText(bob.kid, TYP), ORDER_TEXT, alice))).toBe(
      'signature',
    );
  });

  test('a signature over another payload is refused', async () => {
    const [ours, other] = [await order(alice), await signJws(TYP, { n: 8n, say: 1 }, [alice])];
    expect(await outcome({ ...ours, payload: other.payload })).toBe('signature');
  });

  test('a signature over another header is refused', async () => {
    const [ours, other] = [await order(alice), await order(bob)];
    const swapped = { protected: first(other).protected, signature: first(ours).signature };
    expect(await outcome({ ...ours, signatures: [swapped] })).toBe('signature');
  });

  test('one bad signature spoils the others', async () => {
    const jws = await order(alice, bob);
    const [a, b] = jws.signatures;
    const bad = { protected: b?.protected, signature: a?.signature };
    expect(await outcome({ ...jws, signatures: [a, bad] })).toBe('signature');
    expect(await outcome({ ...jws, signatures: [bad, a] })).toBe('signature');
  });

  test('a signature over the bare payload is refused', async () => {
    const jws = await order(alice);
    const signature = await alice.sign(utf8(ORDER_TEXT));
    const text = signature.toBase64({ alphabet: 'base64url', omitPadding: true });
    const signatures = [{ ...first(jws), signature: text }];
    expect(await outcome({ ...jws, signatures })).toBe('signature');
  });
});

// The law about all of the above: there is no harmless change.
test('law: any change of one letter of any part is refused', async () => {
  const good = await order(alice, bob);
  const parts = ['payload', 0, 1, 'signature 0', 'signature 1'] as const;
  const letters = [...'ABCXYZabcxyz0189-_', '=', '+', '/', '.', ' ', '\n', '\u00e9', ''];
  const change = fc.tuple(
    fc.constantFrom(...parts),
    fc.nat(),
    fc.constantFrom(...letters),
    fc.boolean(),
  );
  await fc.assert(
    fc.asyncProperty(change, async ([part, at, letter, insert]) => {
      const edit = (text: string) => {
        const i = at % text.length;
        return text.slice(0, i) + letter + text.slice(insert ? i : i + 1);
      };
      const changed: Jws = {
        payload: part === 'payload' ? edit(good.payload) : good.payload,
        signatures: good.signatures.map((entry, i) => ({
          protected: part === i ? edit(entry.protected) : entry.protected,
          signature: part === `signature ${i}` ? edit(entry.signature) : entry.signature,
        })),
      };
      fc.pre(canonical(changed) !== canonical(good));
      expect(await outcome(changed)).not.toBe('verified');
    }),
    { seed: 1, numRuns: 1500 },
  );
});

test('law: whatever is given, the answer is a value', async () => {
  await fc.assert(
    fc.asyncProperty(fc.anything({ withBigInt: true, withNullPrototype: true }), async (input) => {
      const decoded = decodeJws(input, kind, crypto);
      expect('claimed' in decoded || isRefusal(decoded)).toBe(true);
    }),
    { seed: 2, numRuns: 500 },
  );
});

test('law: what is signed is read back', async () => {
  const say = fc.jsonValue({ maxDepth: 3 }).filter((v) => !canonical(v).includes('"__proto__"'));
  await fc.assert(
    fc.asyncProperty(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), say, async (n, value) => {
      const opened = await open(await signJws(TYP, { n, say: value }, [alice]), {
        ...kind,
        maxBytes: 1_000_000,
      });
      expect(opened).toHaveProperty('value.n', n);
      expect(opened).toHaveProperty('value.say', JSON.parse(canonical(value)));
    }),
    { seed: 3, numRuns: 100 },
  );
});
