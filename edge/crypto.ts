// The crypto port on workerd: WebCrypto verifies (78 microseconds), node:crypto hashes, because
// only it is synchronous.

import { createHash } from 'node:crypto';
import * as z from 'zod/mini';
import { parseJson } from '../shared/canonical.ts';
import { enrol, thumbprint } from '../shared/control/keys.ts';
import type { Bytes, Crypto, Signer } from '../shared/crypto.ts';
import { isStrictSignature } from '../shared/ed25519.ts';

// Keys come from the trust document alone, so there are as many as it lists. Imported ones, and no
// promises: one of another request may never settle (E3), and a failure need not be one for good.
const imported = new WeakMap<Uint8Array, CryptoKey>();

export const edgeCrypto: Crypto = {
  sha256(bytes) {
    return createHash('sha256').update(bytes).digest();
  },
  async verify(key, bytes, signature) {
    if (!isStrictSignature(signature)) return false;
    const held = imported.get(key) ?? (await importKey(key));
    if (held === null) return false;
    imported.set(key, held);
    return crypto.subtle.verify('Ed25519', held, signature, bytes);
  },
};

async function importKey(key: Uint8Array): Promise<CryptoKey | null> {
  try {
    return await crypto.subtle.importKey('raw', key, 'Ed25519', false, ['verify']);
  } catch {
    return null;
  }
}

const privateJwkSchema = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string(),
  d: z.string(),
});

/** A signer from the text of a private JWK (RFC 8037), or null when it is none. */
export async function signerOf(jwkText: string): Promise<Signer | null> {
  const parsed = privateJwkSchema.safeParse(parseJson(jwkText)?.value);
  if (!parsed.success) return null;
  const { x } = parsed.data;
  const own = enrol(x);
  if (!(own instanceof Uint8Array)) return null;
  try {
    const key = await crypto.subtle.importKey('jwk', parsed.data, 'Ed25519', false, ['sign']);
    const sign = async (bytes: Uint8Array) =>
      new Uint8Array(await crypto.subtle.sign('Ed25519', key, bytes as Bytes));
    // A kid must be that of the key that signs: the public half is tried, not believed.
    const probe = new Uint8Array(1);
    if (!(await edgeCrypto.verify(own, probe, await sign(probe)))) return null;
    return { kid: thumbprint(x, edgeCrypto), sign };
  } catch {
    return null;
  }
}
