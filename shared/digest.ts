// A digest names content: SHA-256 over canonical bytes, as base64url. Branded so that no other
// string can stand where content is looked up by its name.

import { decodeBase64url, encodeBase64url } from './base64url.ts';
import { canonicalBytes } from './canonical.ts';
import type { Hasher } from './crypto.ts';

export type Digest = string & { readonly __brand: 'Digest' };

const SHA256_BYTES = 32;

export function digestBytes(bytes: Uint8Array, hasher: Hasher): Digest {
  return encodeBase64url(hasher.sha256(bytes)) as Digest;
}

export function digestOf(value: unknown, hasher: Hasher): Digest {
  return digestBytes(canonicalBytes(value), hasher);
}

export function isDigest(text: string): text is Digest {
  return decodeBase64url(text)?.length === SHA256_BYTES;
}
