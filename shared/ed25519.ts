// What Ed25519 leaves open and implementations close differently (RFC 8032 5.1.7), closed here
// once, so that a signature holds everywhere or nowhere: points of small order are refused, as keys
// and as the R of a signature. BoringSSL (workerd) accepts such an R and OpenSSL (Node) does not;
// with one, the holder of a good key could say something that edges believe and agents do not.

export const KEY_BYTES = 32;
export const SIGNATURE_BYTES = 64;

// y-coordinates of the eight points of small order, little-endian hex with the sign bit cleared:
// 0, 1, p-1 and the two of order 8. The same five that libsodium and Wycheproof list.
const SMALL_ORDER_Y: ReadonlySet<string> = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
]);

/** Is the 32-byte encoding that of a point of small order, in its canonical spelling? */
export function hasSmallOrder(point: Uint8Array): boolean {
  return SMALL_ORDER_Y.has(yOf(point).toHex());
}

/** y < p = 2^255 - 19: only the last 19 values below 2^255 are not. */
export function isCanonicalPoint(point: Uint8Array): boolean {
  const y = yOf(point);
  if (y[KEY_BYTES - 1] !== 0x7f) return true;
  for (let i = 1; i < KEY_BYTES - 1; i++) if (y[i] !== 0xff) return true;
  return (y[0] ?? 0) < 0xed;
}

/** Of the right length, with an R that every implementation judges alike. Not yet verified. */
export function isStrictSignature(signature: Uint8Array): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false;
  const r = signature.subarray(0, KEY_BYTES);
  return isCanonicalPoint(r) && !hasSmallOrder(r);
}

function yOf(point: Uint8Array): Uint8Array {
  const y = Uint8Array.from(point);
  y[KEY_BYTES - 1] = (y[KEY_BYTES - 1] ?? 0) & 0x7f;
  return y;
}
