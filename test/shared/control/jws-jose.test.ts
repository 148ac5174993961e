// jose as a second opinion on shared/control/jws.ts: each reads what the other signs, and where
// jose is more lenient, that is shown here and refused by us (docs/adr/0002-signed-documents.md).

import { type CryptoKey, GeneralSign, generalVerify, importJWK } from 'jose';
import { describe, expect, test } from 'vitest';
import * as z from 'zod/mini';
import { canonical, canonicalBytes } from '../../../shared/canonical.ts';
import { type DocumentKind, decodeJws, signJws, verifyJws } from '../../../shared/control/jws.ts';
import rfc8037 from '../../vectors/rfc8037.json' with { type: 'json' };
import { crypto, keyNamed } from '../kit.ts';
import { encodeText, headerText, signParts } from '../raw-jws.ts';

const TYP = 'portolan-join+json';
const kind: DocumentKind<unknown> = { typ: TYP, maxBytes: 1000, schema: z.unknown() };
const DOCUMENT = { a: [1, 'zwei \u20ac', null], b: { c: true }, n: 18_446_744_073_709_551_615n };
const TEXT = canonical(DOCUMENT);
const JOSE_HEADER = { alg: 'Ed25519', kid: rfc8037.thumbprint, typ: TYP };

const alice = keyNamed('alice');
const bob = keyNamed('bob');
const joseKey = await keyFrom(rfc8037.jwk);

async function keyFrom(jwk: { crv: string; x: string; d?: string }): Promise<CryptoKey> {
  const key = await importJWK({ ...jwk, kty: 'OKP' }, 'Ed25519');
  if (key instanceof Uint8Array) throw new Error('not a key pair');
  return key;
}

/** What we say: 'verified' or the code. Knows alice, bob and the key of RFC 8037. */
async function ours(jws: unknown): Promise<string> {
  const decoded = decodeJws(jws, kind, crypto);
  if (!('claimed' in decoded)) return decoded.code;
  const known = [alice, bob, { kid: rfc8037.thumbprint, x: rfc8037.jwk.x }];
  const keyring = (kid: string) => {
    const x = known.find((key) => key.kid === kid)?.x;
    return x === undefined ? null : Uint8Array.fromBase64(x, { alphabet: 'base64url' });
  };
  const verified = await verifyJws(decoded, keyring, crypto);
  return 'code' in verified ? verified.code : 'verified';
}

/** What jose says: the payload, or the name of its error. Takes one key, as callers often do. */
async function jose(jws: unknown, x: string): Promise<string> {
  try {
    const key = await keyFrom({ crv: 'Ed25519', x });
    const { payload } = await generalVerify(jws as Parameters<typeof generalVerify>[0], key);
    return new TextDecoder().decode(payload);
  } catch (error) {
    return error instanceof Error ? error.name : 'error';
  }
}

function joseSigns(header: { alg: string; kid?: string; typ?: string; crit?: string[] }) {
  return new GeneralSign(canonicalBytes(DOCUMENT))
    .addSignature(joseKey)
    .setProtectedHeader(header)
    .done()
    .sign();
}

describe('both agree', () => {
  test('what we sign, jose verifies, by the key of every signer', async () => {
    const jws = await signJws(TYP, DOCUMENT, [alice, bob]);
    expect(await jose(jws, alice.x)).toBe(TEXT);
    expect(await jose(jws, bob.x)).toBe(TEXT);
    expect(await jose(jws, keyNamed('mallory').x)).toBe('JWSSignatureVerificationFailed');
  });

  test('what jose signs under {alg, kid, typ}, we verify', async () => {
    expect(await ours(await joseSigns(JOSE_HEADER))).toBe('verified');
  });

  test.each([
    ['EdDSA', { ...JOSE_HEADER, alg: 'EdDSA' }, 'algorithm'],
    ['no typ', { alg: 'Ed25519', kid: rfc8037.thumbprint }, 'malformed'],
    ['no kid', { alg: 'Ed25519', typ: TYP }, 'malformed'],
    ['one field more', { ...JOSE_HEADER, cty: 'json' }, 'malformed'],
    ['another order', { typ: TYP, kid: rfc8037.thumbprint, alg: 'Ed25519' }, 'malformed'],
  ])('what jose signs under a header with %s, we refuse', async (_, header, code) => {
    const jws = await joseSigns(header);
    expect(await jose(jws, rfc8037.jwk.x)).toBe(TEXT);
    expect(await ours(jws)).toBe(code);
  });

  test('a changed payload is refused by both', async () => {
    const jws = { ...(await joseSigns(JOSE_HEADER)), payload: encodeText('{}') };
    expect(await jose(jws, rfc8037.jwk.x)).toBe('JWSSignatureVerificationFailed');
    expect(await ours(jws)).toBe('signature');
  });
});

describe('jose takes, we refuse', () => {
  const payload = encodeText(TEXT);
  const header = encodeText(headerText(alice.kid, TYP));
  const spelled = [
    ['padding', (text: string) => text.padEnd(Math.ceil(text.length / 4) * 4, '=')],
    ['a space', (text: string) => `${text.slice(0, 5)} ${text.slice(5)}`],
    ['a newline', (text: string) => `${text}\n`],
    ['trailing bits', withTrailingBits],
  ] as const;

  test.each(spelled)('%s in the signature, which nothing signs', async (_, respell) => {
    const jws = await signParts(header, payload, alice);
    const signature = respell(jws.signatures[0]?.signature ?? '');
    const changed = { payload, signatures: [{ protected: header, signature }] };
    expect(await jose(changed, alice.x)).toBe(TEXT);
    expect(await ours(changed)).toBe('encoding');
  });

  test.each(spelled)('%s in a signed payload', async (_, respell) => {
    // Behind a document of 3n + 1 bytes there are trailing bits to set.
    const text = [TEXT, `${TEXT.slice(0, -1)},"p":1}`, `${TEXT.slice(0, -1)},"p":12}`].find(
      (one) => encodeText(one).length % 4 === 2,
    );
    const respelled = respell(encodeText(text ?? ''));
    expect(respelled).not.toBe(encodeText(text ?? ''));
    const jws = await signParts(header, respelled, alice);
    expect(await jose(jws, alice.x)).toBe(text);
    expect(await ours(jws)).toBe('encoding');
  });

  test.each(spelled)('%s in a signed header', async (_, respell) => {
    const kids = ['k', 'kk', 'kkk'].map((kid) => encodeText(headerText(kid, TYP)));
    const short = kids.find((one) => one.length % 4 === 2) ?? '';
    const jws = await signParts(respell(short), payload, alice);
    expect(jws.signatures[0]?.protected).not.toBe(short);
    expect(await jose(jws, alice.x)).toBe(TEXT);
    expect(await ours(jws)).toBe('encoding');
  });

  test('one good signature among bad ones', async () => {
    const jws = await signJws(TYP, DOCUMENT, [alice, bob]);
    const [a, b] = jws.signatures;
    const changed = { payload, signatures: [{ ...b, signature: a?.signature }, a] };
    expect(await jose(changed, alice.x)).toBe(TEXT);
    expect(await ours(changed)).toBe('signature');
  });

  test('the same key twice', async () => {
    const jws = await signJws(TYP, DOCUMENT, [alice, alice]);
    expect(await jose(jws, alice.x)).toBe(TEXT);
    expect(await ours(jws)).toBe('malformed');
  });

  test('an embedded key, which jose ignores unless asked', async () => {
    const embedded = headerText(alice.kid, TYP, { jwk: { crv: 'Ed25519', kty: 'OKP', x: bob.x } });
    const jws = await signParts(encodeText(embedded), payload, alice);
    expect(await jose(jws, alice.x)).toBe(TEXT);
    expect(await ours(jws)).toBe('malformed');
  });

  test('an unprotected header', async () => {
    const jws = await signJws(TYP, DOCUMENT, [alice]);
    const changed = { payload, signatures: [{ ...jws.signatures[0], header: { kid: bob.kid } }] };
    expect(await ours(changed)).toBe('malformed');
  });

  test('a payload that is JSON but not canonical', async () => {
    const jws = await signParts(header, encodeText('{ "a" : 1.0 }'), alice);
    expect(await jose(jws, alice.x)).toBe('{ "a" : 1.0 }');
    expect(await ours(jws)).toBe('encoding');
  });
});

/** The same bytes, spelled with a needless bit. */
function withTrailingBits(text: string): string {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return text.slice(0, -1) + letters[letters.indexOf(text.slice(-1)) + 1];
}
