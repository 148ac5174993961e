// base64url without padding, strict: exactly one text for each byte string. Lenient decoders accept
// several spellings of one signature, and a spelling is what replay caches and digests compare.

const ALPHABET = /^[A-Za-z0-9_-]*$/;

export function encodeBase64url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: 'base64url', omitPadding: true });
}

/** Bytes of `text`, or null when `text` is not the one canonical spelling of them. */
export function decodeBase64url(text: string): Uint8Array<ArrayBuffer> | null {
  if (!ALPHABET.test(text) || text.length % 4 === 1) return null;
  const bytes = Uint8Array.fromBase64(text, { alphabet: 'base64url' });
  return encodeBase64url(bytes) === text ? bytes : null;
}
