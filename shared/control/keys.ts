// Public keys as trust documents name them: 32 raw bytes in base64url, known by their RFC 7638
// thumbprint. A small-order key verifies signatures that nobody made (one signature fits many
// messages), and WebCrypto accepts it, so it is refused here, at enrolment (C5).

import { decodeBase64url } from '../base64url.ts';
import type { Hasher } from '../crypto.ts';
import { digestOf } from '../digest.ts';
import { hasSmallOrder, isCanonicalPoint, KEY_BYTES } from '../ed25519.ts';
import { type Refusal, refuse } from './refusal.ts';

/** RFC 7638 thumbprint of an Ed25519 public key given as base64url. */
export function thumbprint(x: string, hasher: Hasher): string {
  return digestOf({ crv: 'Ed25519', kty: 'OKP', x }, hasher);
}

/** The key's bytes, or why it may not be enrolled. Refusal: trust-key. */
export function enrol(x: string): Uint8Array | Refusal {
  const key = decodeBase64url(x);
  if (key === null || key.length !== KEY_BYTES) {
    return refuse('trust-key', 'a key is 32 bytes in strict base64url');
  }
  if (!isCanonicalPoint(key)) return refuse('trust-key', 'the key is not in canonical form');
  return hasSmallOrder(key) ? refuse('trust-key', 'the key has small order') : key;
}
