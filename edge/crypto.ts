// The crypto port on workerd: WebCrypto verifies (78 microseconds), node:crypto hashes, because
// only it is synchronous.

import { createHash } from 'node:crypto';
import type { Crypto } from '../shared/crypto.ts';
import { isStrictSignature } from '../shared/ed25519.ts';

// Keys come from the trust document alone, so there are as many as it lists.
const imported = new WeakMap<Uint8Array, Promise<CryptoKey | null>>();

export const edgeCrypto: Crypto = {
  sha256(bytes) {
    return createHash('sha256').update(bytes).digest();
  },
  async verify(key, bytes, signature) {
    if (!isStrictSignature(signature)) return false;
    const known = imported.get(key) ?? importKey(key);
    imported.set(key, known);
    const held = await known;
    return held !== null && crypto.subtle.verify('Ed25519', held, signature, bytes);
  },
};

async function importKey(key: Uint8Array): Promise<CryptoKey | null> {
  try {
    return await crypto.subtle.importKey('raw', key, 'Ed25519', false, ['verify']);
  } catch {
    return null;
  }
}
