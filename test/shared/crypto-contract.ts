// What every adapter of the crypto port must do, whatever it stands on: one suite, run on
// WebCrypto, on node:crypto and on the kit. Two adapters that differ on one signature would split
// agents from edges.

import { describe, expect, test } from 'vitest';
import { utf8 } from '../../shared/canonical.ts';
import { thumbprint } from '../../shared/control/keys.ts';
import type { Crypto } from '../../shared/crypto.ts';
import orders from '../vectors/ed25519-orders.json' with { type: 'json' };
import rfc8037 from '../vectors/rfc8037.json' with { type: 'json' };
import wycheproof from '../vectors/wycheproof-ed25519.json' with { type: 'json' };

/** RFC 8032 7.1, test 3. */
const KEY = 'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025';
const MESSAGE = 'af82';
const SIGNATURE =
  '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac' +
  '18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a';

const hex = (text: string) => Uint8Array.fromHex(text);
const base64url = (text: string) => Uint8Array.fromBase64(text, { alphabet: 'base64url' });

export function cryptoContract(crypto: Crypto): void {
  describe('SHA-256', () => {
    // FIPS 180-4.
    test.each([
      ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
      ['616263', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    ])('of %j', (bytes, digest) => {
      expect(crypto.sha256(hex(bytes)).toHex()).toBe(digest);
    });

    test('of a view is that of the view, not of its buffer', () => {
      const view = hex('0061626300').subarray(1, 4);
      expect(crypto.sha256(view).toHex()).toBe(crypto.sha256(hex('616263')).toHex());
    });
  });

  describe('Wycheproof', () => {
    const cases = wycheproof.groups.flatMap(({ pk, tests }) =>
      tests.map((one) => ({ pk, ...one })),
    );

    test('all cases are here', () => {
      expect(cases).toHaveLength(151);
      expect(cases).toHaveLength(wycheproof.numberOfTests);
    });

    test.each(cases)('case $tcId is $result ($flags, $comment)', async (one) => {
      const holds = await crypto.verify(hex(one.pk), hex(one.msg), hex(one.sig));
      expect(holds).toBe(one.result === 'valid');
    });
  });

  // Attack: RFC 8032 leaves room, and libraries use it. The holder of an ordinary key can make a
  // signature with an R of small order that BoringSSL takes and OpenSSL 3.5 refuses: edges and
  // agents would disagree about who said what (I16). Everyone refuses such an R, and nobody
  // multiplies by the cofactor.
  describe('points of small and of mixed order', () => {
    test.each(orders.cases)('$name', async ({ pk, msg, sig, cofactorless, smallR }) => {
      const holds = await crypto.verify(hex(pk), hex(msg), hex(sig));
      expect(holds).toBe(cofactorless && !smallR);
    });
  });

  describe('RFC 8037', () => {
    const key = base64url(rfc8037.jwk.x);

    test('the thumbprint of the key is the published one', () => {
      expect(thumbprint(rfc8037.jwk.x, crypto)).toBe(rfc8037.thumbprint);
    });

    test.each([rfc8037.jws, rfc8037.ed25519Jws])('the signature of %s holds', async (jws) => {
      const [header = '', payload = '', signature = ''] = jws.split('.');
      expect(new TextDecoder().decode(base64url(payload))).toBe(rfc8037.payload);
      const signed = utf8(`${header}.${payload}`);
      expect(await crypto.verify(key, signed, base64url(signature))).toBe(true);
    });
  });

  describe('false, never a throw', () => {
    test('the untouched signature holds', async () => {
      expect(await crypto.verify(hex(KEY), hex(MESSAGE), hex(SIGNATURE))).toBe(true);
    });

    test('each again, with keys that were seen before', async () => {
      const key = hex(KEY);
      expect(await crypto.verify(key, hex(MESSAGE), hex(SIGNATURE))).toBe(true);
      expect(await crypto.verify(key, hex('af83'), hex(SIGNATURE))).toBe(false);
      expect(await crypto.verify(key, hex(MESSAGE), hex(SIGNATURE))).toBe(true);
      const bad = new Uint8Array(31);
      expect(await crypto.verify(bad, hex(MESSAGE), hex(SIGNATURE))).toBe(false);
      expect(await crypto.verify(bad, hex(MESSAGE), hex(SIGNATURE))).toBe(false);
    });

    // y = 2 and y = 7: x² is no square, so there is no such point (RFC 8032 5.1.3).
    test.each([
      ['no point of the curve', `02${'00'.repeat(31)}`],
      ['no point of the curve either', `07${'00'.repeat(31)}`],
      ['an x of 0 with the sign bit', `01${'00'.repeat(30)}80`],
      ['31 bytes', KEY.slice(2)],
      ['33 bytes', `${KEY}00`],
      ['64 bytes', `${KEY}${KEY}`],
      ['nothing', ''],
      ['all ones', 'ff'.repeat(32)],
    ])('a key that is %s', async (_, key) => {
      expect(await crypto.verify(hex(key), hex(MESSAGE), hex(SIGNATURE))).toBe(false);
    });

    test.each([
      ['nothing', ''],
      ['63 bytes', SIGNATURE.slice(2)],
      ['65 bytes', `${SIGNATURE}00`],
      ['another S', `${SIGNATURE.slice(0, 64)}${'00'.repeat(32)}`],
      ['S beyond the order', `${SIGNATURE.slice(0, 64)}${'ff'.repeat(32)}`],
      ['an R that is no point', `02${'00'.repeat(31)}${SIGNATURE.slice(64)}`],
    ])('a signature that is %s', async (_, signature) => {
      expect(await crypto.verify(hex(KEY), hex(MESSAGE), hex(signature))).toBe(false);
    });
  });
}
