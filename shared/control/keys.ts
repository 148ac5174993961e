// Public keys as trust documents name them: 32 raw bytes in base64url, known by their RFC 7638
// thumbprint. A small-order key verifies signatures that nobody made (one signature fits many
// messages), and WebCrypto accepts it, so it is refused here, at enrolment (C5).

import { decodeBase64url } from '../base64url.ts';
import type { Hasher } from '../crypto.ts';
import { digestOf } from '../digest.ts';
import { type Refusal, refuse } from './refusal.ts';

const KEY_BYTES = 32;

// y-coordinates of the eight points of small order, little-endian hex with the sign bit cleared:
// 0, 1, p-1 and the two of order 8. Source: RFC 7748/8032 arithmetic; the same five that libsodium
// and Wycheproof list. Non-canonical spellings (y >= p) are refused by `isCanonicalY` instead.
const SMALL_ORDER_Y: ReadonlySet<string> = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
]);

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
  const y = Uint8Array.from(key);
  y[KEY_BYTES - 1] = (y[KEY_BYTES - 1] ?? 0) & 0x7f;
  if (!isCanonicalY(y)) return refuse('trust-key', 'the key is not in canonical form');
  if (SMALL_ORDER_Y.has(y.toHex())) return refuse('trust-key', 'the key has small order');
  return key;
}

/** y < p = 2^255 - 19: only the last 19 values above p fit 255 bits. */
function isCanonicalY(y: Uint8Array): boolean {
  if (y[KEY_BYTES - 1] !== 0x7f) return true;
  for (let i = 1; i < KEY_BYTES - 1; i++) if (y[i] !== 0xff) return true;
  return (y[0] ?? 0) < 0xed;
}
