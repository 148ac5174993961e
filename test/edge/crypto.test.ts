import { describe, expect, test } from 'vitest';
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
