// Rotation (C5): whoever holds one document of a chain comes to all others, and to no other chain.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openTrust, type Trust, trustAt } from '../../../shared/control/trust.ts';
import {
  adoptTrust,
  carriedTrust,
  laterTrust,
  oldestOf,
} from '../../../shared/control/trust-chain.ts';
import { digestOf } from '../../../shared/digest.ts';
import { TRUST_DOCUMENTS_MAX, TRUST_PER_DELTA_MAX } from '../../../shared/limits.ts';
import { codeOf, SEED, withBrokenSignature } from '../forge.ts';
import { crypto, keyNamed, signTrust, testTrust, trustDocument } from '../kit.ts';
import {
  adopted,
  documentAfter,
  ROOTS,
  rotated,
  rotatedTimes,
  signedAfter,
  WITHOUT_ALICE,
} from '../rotations.ts';

const one = await testTrust();
const x = (name: string) => keyNamed(name).x;

/** `newest: held versions`, and what was refused. */
async function offered(trust: Trust, ...inputs: readonly unknown[]): Promise<string> {
  const before = brief(trust);
  const outcome = await adoptTrust(trust, inputs, crypto);
  if (brief(trust) !== before) throw new Error('trust was changed in place');
  return [brief(outcome.trust), ...outcome.refused.map(({ code }) => code)].join(' ');
}

function brief({ document, held }: Trust): string {
  return `${document.version}:${[...held.keys()].join()}`;
}

async function pinned(input: unknown): Promise<Trust> {
  const trust = await openTrust(input, crypto);
  if ('code' in trust) throw new Error(`${trust.code}: ${trust.detail}`);
  return trust;
}

describe('the next document', () => {
  test('is adopted: its roles are those that count, the old ones can be looked up', async () => {
    const two = await rotated(one, WITHOUT_ALICE);
    expect(brief(two)).toBe('2:1,2');
    const alice = keyNamed('alice').kid;
    expect([two.roles.has(alice), trustAt(two, 1n)?.roles.has(alice)]).toEqual([false, true]);
    expect(trustAt(two, 2n)?.digest).toBe(two.digest);
    expect([trustAt(two, 0n), trustAt(two, 3n)]).toEqual([null, null]);
  });

  test.each<readonly [string, Parameters<typeof signedAfter>[1], readonly string[], string]>([
    ['signed by one old key of two', {}, ['root r1'], 'trust-signatures'],
    ['signed by an operator beside them', {}, [...ROOTS, 'alice'], 'key-unknown'],
    ['signed by strangers', {}, ['root x1', 'root x2'], 'trust-signatures'],
    ['that skips a version', { version: 3n }, ROOTS, 'trust-gap'],
    ['of version 0', { version: 0n }, ROOTS, 'malformed'],
    ['that follows nothing', { previous: null }, ROOTS, 'malformed'],
    ['that follows another', { previous: digestOf('x', crypto) }, ROOTS, 'trust-previous'],
    ['of another cluster', { cluster: 'other' }, ROOTS, 'cluster'],
    ['without a majority', { threshold: 1 }, ROOTS, 'trust-threshold'],
    ['with one key in two roles', { edges: { edge: x('alice') } }, ROOTS, 'trust-shared-key'],
    ['with a key that is none', { edges: { edge: '' } }, ROOTS, 'trust-key'],
  ])('%s is refused and changes nothing', async (_, changes, names, code) => {
    expect(await offered(one, await signedAfter(one, changes, names))).toBe(`1:1 ${code}`);
  });

  test('with a signature that does not hold is refused', async () => {
    const broken = withBrokenSignature(await signedAfter(one));
    expect(await offered(one, broken)).toBe('1:1 signature');
  });

  test('what is no trust document is refused as that, and stops nothing else', async () => {
    const two = await signedAfter(one);
    expect(await offered(one, null, {}, two, 'x')).toBe('2:1,2 malformed malformed malformed');
  });

  test('without the old keys costs no verification', async () => {
    let verifications = 0;
    const counting = {
      ...crypto,
      verify: async (...given: Parameters<typeof crypto.verify>) => {
        verifications += 1;
        return crypto.verify(...given);
      },
    };
    const names = Array.from({ length: 30 }, (_, i) => `root x${i}`);
    const keys = Object.fromEntries(names.map((name, i) => [`x${i}`, x(name)]));
    const own = await signedAfter(one, { root: { threshold: 30, keys } }, names);
    expect((await adoptTrust(one, [own], counting)).refused).toMatchObject([
      { code: 'trust-signatures' },
    ]);
    expect(verifications).toBe(0);
    // One old signature that is none ends it too, wherever it stands.
    const [stolen] = withBrokenSignature(await signedAfter(one)).signatures;
    const more = await signedAfter(one, { root: { threshold: 30, keys } }, [...names, 'root r2']);
    if (stolen === undefined) throw new Error('it was signed');
    const both = { ...more, signatures: [...more.signatures, stolen] };
    expect((await adoptTrust(one, [both], counting)).refused).toMatchObject([
      { code: 'signature' },
    ]);
    expect(verifications).toBeLessThanOrEqual(2);
  });
});

// The TUF rule: neither the old keys alone nor the new ones alone change who is trusted.
describe('new root keys', () => {
  const root = { threshold: 2, keys: { n1: x('root n1'), n2: x('root n2') } };

  test.each<readonly [readonly string[], string]>([
    [['root r1', 'root r2', 'root n1', 'root n2'], '2:1,2'],
    [['root n2', 'root r2', 'root n1', 'root r1'], '2:1,2'],
    [['root r1', 'root r2'], '1:1 trust-signatures'],
    [['root n1', 'root n2'], '1:1 trust-signatures'],
    [['root r1', 'root n1', 'root n2'], '1:1 trust-signatures'],
    [['root r1', 'root r2', 'root n1'], '1:1 trust-signatures'],
  ])('signed by %j: %s', async (names, expected) => {
    expect(await offered(one, await signedAfter(one, { root }, names))).toBe(expected);
  });

  test('a key that is old and new counts for both, once for each', async () => {
    const kept = { threshold: 2, keys: { r2: x('root r2'), n1: x('root n1') } };
    const all = await signedAfter(one, { root: kept }, ['root r1', 'root r2', 'root n1']);
    expect(await offered(one, all)).toBe('2:1,2');
    const few = await signedAfter(one, { root: kept }, ['root r2', 'root n1']);
    expect(await offered(one, few)).toBe('1:1 trust-signatures');
    const twice = await signedAfter(one, { root: kept }, ['root r2', 'root r2', 'root n1']);
    expect(await offered(one, twice)).toBe('1:1 malformed');
  });

  test('may be pinned: the old keys’ signatures beside theirs are nobody’s there', async () => {
    const names = ['root r1', 'root r2', 'root n1', 'root n2'];
    const pin = await pinned(await signedAfter(one, { root }, names));
    expect(brief(pin)).toBe('2:2');
    const without = await signedAfter(one, { root }, ['root r1', 'root r2', 'root n1']);
    expect(codeOf(await openTrust(without, crypto))).toBe('trust-signatures');
  });
});

describe('a document of a version that is held', () => {
  test('is no news, whoever signed this copy', async () => {
    const two = await rotated(one);
    expect(await offered(two, one.jws, two.jws)).toBe('2:1,2');
    expect(await offered(two, await signedAfter(one, {}, ['root r2', 'root r1']))).toBe('2:1,2');
  });

  test('and is another is a fork when root keys signed it, else what it is', async () => {
    const two = await rotated(one);
    expect(await offered(two, await signedAfter(one, WITHOUT_ALICE))).toBe('2:1,2 trust-fork');
    expect(await offered(two, await signedAfter(one, WITHOUT_ALICE, ['root r1']))).toBe(
      '2:1,2 trust-signatures',
    );
    const elsewhere = { ...WITHOUT_ALICE, previous: digestOf('x', crypto) };
    expect(await offered(two, await signedAfter(one, elsewhere))).toBe('2:1,2 trust-previous');
  });

  test('a rival of the pin is a fork when the pin’s root keys signed it', async () => {
    const rival = await signTrust(trustDocument({ edges: {} }));
    expect(await offered(one, rival)).toBe('1:1 trust-fork');
    const root = { threshold: 1, keys: { x1: x('root x1') } };
    const own = await signTrust(trustDocument({ root }), ['root x1']);
    expect(await offered(one, own)).toBe('1:1 trust-signatures');
  });

  // Whoever was brought the one adopts nothing that follows from the other.
  test('what follows a fork is refused', async () => {
    const [left, right] = [await rotated(one), await rotated(one, WITHOUT_ALICE)];
    expect(await offered(left, await signedAfter(right))).toBe('2:1,2 trust-previous');
  });
});

const four = await rotatedTimes(one, 3);

describe('backwards from a pin', () => {
  const jws = (version: bigint) => trustAt(four, version)?.jws;

  test('the digest alone vouches for earlier documents', async () => {
    const pin = await pinned(jws(3n));
    expect(await offered(pin, jws(2n), jws(1n))).toBe('3:1,2,3');
    const unsigned = await signTrust(documentAfter(one, documentOf(2n)), ['mallory']);
    expect(await offered(pin, unsigned)).toBe('3:2,3');
  });

  test('another document before the pin is refused, whoever signed it', async () => {
    const pin = await pinned(jws(3n));
    expect(await offered(pin, await signedAfter(one, WITHOUT_ALICE))).toBe('3:3 trust-previous');
    expect(await offered(pin, jws(1n))).toBe('3:3 trust-gap');
  });

  test('and forwards too, in whatever order they come', async () => {
    const pin = await pinned(jws(3n));
    expect(await offered(pin, jws(1n), jws(4n), jws(3n), jws(2n))).toBe('4:1,2,3,4');
  });

  function documentOf(version: bigint) {
    return trustAt(four, version)?.document ?? {};
  }
});

describe('bounds', () => {
  test('a delta carries the newest eight, and none before the first rotation', async () => {
    expect(TRUST_PER_DELTA_MAX).toBe(8);
    expect(carriedTrust(one)).toEqual([]);
    const eight = await rotatedTimes(one, 7);
    const nine = await rotatedTimes(eight, 1);
    expect(carriedTrust(eight)).toHaveLength(8);
    expect(carriedTrust(nine)).toHaveLength(8);
    expect(brief(await adopted(one, ...carriedTrust(nine)))).toBe('9:1,2,3,4,5,6,7,8,9');
    // A pin that is older than that has to be renewed.
    const ten = await rotatedTimes(nine, 1);
    expect(await offered(one, ...carriedTrust(ten))).toBe(
      `1:1${' trust-gap'.repeat(TRUST_PER_DELTA_MAX)}`,
    );
  });

  test('a holder lets go of the oldest beyond TRUST_DOCUMENTS_MAX, and goes on', async () => {
    expect(TRUST_DOCUMENTS_MAX).toBe(256);
    const full = await rotatedTimes(one, 255);
    expect([full.held.size, oldestOf(full).document.version]).toEqual([256, 1n]);
    const next = await rotatedTimes(full, 1);
    expect([next.held.size, oldestOf(next).document.version]).toEqual([256, 2n]);
    // Taken back, it would push out another for ever.
    expect((await adopted(next, one.jws)).held.size).toBe(256);
  }, 30_000);
});

test('of two that grew side by side the longer is taken: trust never goes back', async () => {
  const two = await rotated(one);
  expect([laterTrust(one, two), laterTrust(two, one)]).toEqual([two, two]);
  const fork = await rotated(one, WITHOUT_ALICE);
  expect(laterTrust(two, fork)).toBe(two);
  const pin = await pinned(two.jws);
  expect(laterTrust(pin, two)).toBe(two);
});

test('law: from any pin, whatever comes in any order leads to a part of the chain', async () => {
  const chain = await rotatedTimes(one, 4);
  const all = [...chain.held.values()];
  const few = await signedAfter(one, WITHOUT_ALICE, ['root r1']);
  const misplaced = await signedAfter(one, { version: 4n });
  const inputs = [...all.map(({ jws }) => jws), few, misplaced, {}];
  const handed = fc.array(fc.array(fc.nat(inputs.length - 1), { maxLength: 6 }), { maxLength: 6 });
  const property = fc.asyncProperty(fc.nat(all.length - 1), handed, async (start, rounds) => {
    let trust = await pinned(all[start]?.jws);
    for (const round of rounds) {
      const given = round.map((i) => inputs[i]);
      const { trust: next } = await adoptTrust(trust, given, crypto);
      expect(next.document.version).toBeGreaterThanOrEqual(trust.document.version);
      trust = next;
    }
    const versions = [...trust.held.keys()];
    expect(versions).toEqual(versions.map((_, i) => (versions[0] ?? 0n) + BigInt(i)));
    for (const [version, { digest }] of trust.held) {
      expect(digest).toBe(trustAt(chain, version)?.digest);
    }
    expect(trust.digest).toBe(trustAt(trust, versions.at(-1) ?? 0n)?.digest);
    const whole = await adopted(trust, ...all.map(({ jws }) => jws));
    expect(brief(whole)).toBe('5:1,2,3,4,5');
  });
  await fc.assert(property, { seed: SEED, numRuns: 60 });
});

// A twin that counts by hand: each key once, for the old document and for the new one.
test('law: exactly those signatures are enough that reach both thresholds', async () => {
  const names = ['root a', 'root b', 'root c', 'root d', 'root e'];
  const quorum = fc
    .tuple(fc.subarray(names, { minLength: 1 }), fc.nat())
    .map(([chosen, n]) => ({ chosen, threshold: 1 + (n % chosen.length) }));
  const signers = fc.subarray(names, { minLength: 1 });
  const property = fc.asyncProperty(quorum, quorum, signers, async (old, own, signing) => {
    const root = ({ chosen, threshold }: typeof old) => ({
      root: { threshold, keys: Object.fromEntries(chosen.map((n) => [n.slice(5), x(n)])) },
    });
    const pin = await pinned(await signTrust(trustDocument(root(old)), old.chosen));
    const next = await signedAfter(pin, root(own), signing);
    const count = (set: readonly string[]) => signing.filter((name) => set.includes(name)).length;
    const enough = count(old.chosen) >= old.threshold && count(own.chosen) >= own.threshold;
    const known = signing.every((name) => [...old.chosen, ...own.chosen].includes(name));
    const expected = enough ? (known ? '2:1,2' : '1:1 key-unknown') : '1:1 trust-signatures';
    expect(await offered(pin, next)).toBe(expected);
  });
  await fc.assert(property, { seed: SEED, numRuns: 150 });
});
