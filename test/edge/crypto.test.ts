import { afterEach, describe, expect, test, vi } from 'vitest';
import { edgeCrypto } from '../../edge/crypto.ts';
import { utf8 } from '../../shared/canonical.ts';
import { cryptoContract } from '../shared/crypto-contract.ts';

describe('the crypto port on workerd', () => cryptoContract(edgeCrypto));

// Why keys of small order are refused at enrolment (C5): here nothing else would refuse them.
test('under a key of order 1 WebCrypto takes one signature for every message', async () => {
  const key = Uint8Array.fromHex(`01${'00'.repeat(31)}`);
  const signature = Uint8Array.fromHex(`01${'00'.repeat(63)}`);
  const imported = await crypto.subtle.importKey('raw', key, 'Ed25519', false, ['verify']);
  for (const message of ['pay alice', 'pay mallory']) {
    const holds = await crypto.subtle.verify('Ed25519', imported, signature, utf8(message));
    expect(holds).toBe(true);
  }
});

describe('the import of a key', () => {
  const message = utf8('message');
  const importing = vi.spyOn(crypto.subtle, 'importKey');
  afterEach(() => void importing.mockReset());

  async function signed() {
    const pair = (await crypto.subtle.generateKey('Ed25519', true, [
      'sign',
      'verify',
    ])) as CryptoKeyPair;
    const key = (await crypto.subtle.exportKey('raw', pair.publicKey)) as ArrayBuffer;
    const signature = await crypto.subtle.sign('Ed25519', pair.privateKey, message);
    return [new Uint8Array(key), message, new Uint8Array(signature)] as const;
  }

  test('is done once a key', async () => {
    const one = await signed();
    expect([await edgeCrypto.verify(...one), await edgeCrypto.verify(...one)]).toEqual([
      true,
      true,
    ]);
    expect(importing).toHaveBeenCalledTimes(1);
  });

  // Otherwise the isolate would take this key's signatures for bad until it ends.
  test('that fails once is tried again', async () => {
    const one = await signed();
    importing.mockRejectedValueOnce(new Error('too busy'));
    expect([await edgeCrypto.verify(...one), await edgeCrypto.verify(...one)]).toEqual([
      false,
      true,
    ]);
  });

  // The runtime cancels it with the request that began it, and tells nobody (E3).
  test('that never ends holds up nobody else', async () => {
    const one = await signed();
    importing.mockReturnValueOnce(new Promise<CryptoKey>(() => {}));
    void edgeCrypto.verify(...one);
    expect(await edgeCrypto.verify(...one)).toBe(true);
  });
});
