import { describe, expect, test } from 'vitest';
import { newKey, nodeCrypto, signerOf } from '../../agent/adapters/crypto.ts';
import { utf8 } from '../../shared/canonical.ts';
import { enrol } from '../../shared/control/keys.ts';
import { cryptoContract } from '../shared/crypto-contract.ts';
import rfc8037 from '../vectors/rfc8037.json' with { type: 'json' };

describe('the crypto port on Node', () => cryptoContract(nodeCrypto));

describe('keys as files', () => {
  const text = JSON.stringify(rfc8037.jwk);

  test('the key of RFC 8037 signs what RFC 8037 says', async () => {
    const signer = signerOf(text);
    expect(signer?.kid).toBe(rfc8037.thumbprint);
    for (const jws of [rfc8037.jws, rfc8037.ed25519Jws]) {
      const [header, payload, signature] = jws.split('.');
      const signed = await signer?.sign(utf8(`${header}.${payload}`));
      expect(signed?.toBase64({ alphabet: 'base64url', omitPadding: true })).toBe(signature);
    }
  });

  // Attack: a file that names another's public key would sign in that one's name.
  test('the kid is that of the key that signs, or there is no signer', () => {
    const signer = signerOf(JSON.stringify({ ...rfc8037.jwk, x: newKey().x }));
    expect(signer === null || signer.kid === rfc8037.thumbprint).toBe(true);
  });

  test.each([
    ['no JSON', '-----BEGIN PRIVATE KEY-----'],
    ['nothing', ''],
    ['null', 'null'],
    ['a public key', JSON.stringify({ ...rfc8037.jwk, d: undefined })],
    ['another curve', JSON.stringify({ ...rfc8037.jwk, crv: 'X25519' })],
    ['another kind', JSON.stringify({ ...rfc8037.jwk, kty: 'EC' })],
    ['a seed of 31 bytes', JSON.stringify({ ...rfc8037.jwk, d: 'A'.repeat(42) })],
    ['a seed of 33 bytes', JSON.stringify({ ...rfc8037.jwk, d: 'A'.repeat(44) })],
  ])('%s is no signer', (_, jwk) => {
    expect(signerOf(jwk)).toBeNull();
  });

  test('a new key can be enrolled, read back and verified', async () => {
    const { jwk, x } = newKey();
    const key = enrol(x);
    const signer = signerOf(JSON.stringify(jwk));
    const signature = await signer?.sign(utf8('a'));
    if (!(key instanceof Uint8Array) || signature === undefined) throw new Error('not enrolled');
    expect(await nodeCrypto.verify(key, utf8('a'), signature)).toBe(true);
    expect(await nodeCrypto.verify(key, utf8('b'), signature)).toBe(false);
    expect(newKey().x).not.toBe(x);
  });
});
