// Signed documents: General JWS JSON (RFC 7515 7.2.1) over canonical bytes, Ed25519 only, and the
// ONE place where a `Verified<T>` is made. Two steps, because C9 judges size, encoding and position
// before it pays for a signature: `decodeJws` (synchronous, trusts nothing), then `verifyJws`.
//
// The header is exactly {alg, kid, typ}: no embedded keys (`jwk`, `x5c`), no `crit`, and a `typ`
// for each kind of document, so that an attestation can never be read as a commit. Rejected: jose
// at run time. It accepts non-canonical base64url and counts the first good signature as enough; it
// checks this file in the tests instead (docs/adr/0002-signed-documents.md).

import * as z from 'zod/mini';
import { decodeBase64url, encodeBase64url } from '../base64url.ts';
import { canonicalBytes, parseCanonical, utf8 } from '../canonical.ts';
import type { Crypto, Hasher, Signer } from '../crypto.ts';
import { type Digest, digestBytes } from '../digest.ts';
import { SIGNATURE_BYTES } from '../ed25519.ts';
import { JWS_HEADER_CHARS_MAX, SIGNATURES_MAX } from '../limits.ts';
import { firstIssue } from '../schema.ts';
import { type Refusal, refuse } from './refusal.ts';

export const ALGORITHM = 'Ed25519';

export type DocumentType =
  | 'portolan-trust+json'
  | 'portolan-commit+json'
  | 'portolan-attestation+json'
  | 'portolan-delta+json'
  | 'portolan-join+json'
  | 'portolan-request+json'
  | 'portolan-receipt+json'
  | 'portolan-step+json'
  | 'portolan-batch+json';

export interface Jws {
  readonly payload: string;
  readonly signatures: readonly { readonly protected: string; readonly signature: string }[];
}

/** How one kind of document is read. */
export interface DocumentKind<T> {
  readonly typ: DocumentType;
  readonly maxBytes: number;
  readonly schema: z.ZodMiniType<T>;
}

interface DecodedSignature {
  readonly kid: string;
  readonly header: string;
  readonly signature: Uint8Array;
}

/** Well-formed and of the right shape; nobody has vouched for it yet. */
export interface Decoded<T> {
  readonly claimed: T;
  /** SHA-256 of the payload: the document's name, whoever signed it and however often. */
  readonly digest: Digest;
  readonly signatures: readonly DecodedSignature[];
  readonly jws: Jws;
}

declare const verified: unique symbol;

/** A document all of whose signatures hold, by the keys in `kids` (distinct, in order). */
export interface Verified<T> {
  readonly [verified]: true;
  readonly value: T;
  readonly digest: Digest;
  readonly kids: readonly string[];
  readonly jws: Jws;
}

/** Raw public key of a thumbprint, or null when trust does not name it. */
export type Keyring = (kid: string) => Uint8Array | null;

const signatureSchema = z.strictObject({
  protected: z.string().check(z.maxLength(JWS_HEADER_CHARS_MAX)),
  signature: z.string().check(z.maxLength(JWS_HEADER_CHARS_MAX)),
});

/** The outer form of every signed document. */
export const jwsSchema = z.strictObject({
  payload: z.string(),
  signatures: z.array(signatureSchema).check(z.minLength(1), z.maxLength(SIGNATURES_MAX)),
});

const headerSchema = z.strictObject({ alg: z.string(), kid: z.string(), typ: z.string() });

/** Bounds, encoding, headers, schema. Refusals: too-large, malformed, encoding, algorithm. */
export function decodeJws<T>(
  input: unknown,
  kind: DocumentKind<T>,
  hasher: Hasher,
): Decoded<T> | Refusal {
  // Bounds first (C9). Four characters carry three bytes; nothing is decoded before this.
  if (payloadLength(input) > Math.ceil((kind.maxBytes * 4) / 3)) {
    return refuse('too-large', `${kind.typ} takes ${kind.maxBytes} bytes`);
  }
  const parsed = jwsSchema.safeParse(input);
  if (!parsed.success) return refuse('malformed', firstIssue(parsed.error));
  const jws = parsed.data;
  const bytes = decodeBase64url(jws.payload);
  if (bytes === null) return refuse('encoding', 'payload is not strict base64url');
  const signatures = decodeSignatures(jws, kind.typ);
  if ('kind' in signatures) return signatures;
  const json = parseCanonical(bytes);
  if (json === null) return refuse('encoding', 'payload is not RFC 8785 JSON');
  const claimed = kind.schema.safeParse(json.value);
  if (!claimed.success) return refuse('malformed', firstIssue(claimed.error));
  return { claimed: claimed.data, digest: digestBytes(bytes, hasher), signatures, jws };
}

/** Every signature must hold under a key of `keyring`. Refusals: key-unknown, signature. */
export async function verifyJws<T>(
  decoded: Decoded<T>,
  keyring: Keyring,
  crypto: Crypto,
): Promise<Verified<T> | Refusal> {
  for (const { kid, header, signature } of decoded.signatures) {
    const key = keyring(kid);
    if (key === null) return refuse('key-unknown', `trust names no key ${kid} for this`);
    const signed = utf8(`${header}.${decoded.jws.payload}`);
    if (!(await crypto.verify(key, signed, signature))) {
      return refuse('signature', `signature by ${kid} does not hold`);
    }
  }
  const { claimed: value, digest, jws } = decoded;
  const kids = decoded.signatures.map(({ kid }) => kid);
  return { value, digest, kids, jws } as unknown as Verified<T>;
}

/** Signs the canonical form of `document` with every signer. */
export async function signJws(
  typ: DocumentType,
  document: unknown,
  signers: readonly Signer[],
): Promise<Jws> {
  const payload = encodeBase64url(canonicalBytes(document));
  const signatures = await Promise.all(
    signers.map(async (signer) => {
      const header = canonicalBytes({ alg: ALGORITHM, kid: signer.kid, typ });
      const encoded = encodeBase64url(header);
      const signature = await signer.sign(utf8(`${encoded}.${payload}`));
      return { protected: encoded, signature: encodeBase64url(signature) };
    }),
  );
  return { payload, signatures };
}

function payloadLength(input: unknown): number {
  if (typeof input !== 'object' || input === null || !('payload' in input)) return 0;
  return typeof input.payload === 'string' ? input.payload.length : 0;
}

function decodeSignatures(jws: Jws, typ: DocumentType): readonly DecodedSignature[] | Refusal {
  const found: DecodedSignature[] = [];
  for (const entry of jws.signatures) {
    const headerBytes = decodeBase64url(entry.protected);
    const signature = decodeBase64url(entry.signature);
    if (headerBytes === null || signature === null) {
      return refuse('encoding', 'header or signature is not strict base64url');
    }
    const json = parseCanonical(headerBytes);
    const header = headerSchema.safeParse(json?.value);
    if (!header.success) return refuse('malformed', 'the header is exactly alg, kid and typ');
    if (header.data.alg !== ALGORITHM) return refuse('algorithm', `only ${ALGORITHM} is taken`);
    if (header.data.typ !== typ) return refuse('malformed', `typ is not ${typ}`);
    if (signature.length !== SIGNATURE_BYTES) return refuse('encoding', 'a signature has 64 bytes');
    // A key counts once towards any threshold, however often it signs (C5).
    if (found.some(({ kid }) => kid === header.data.kid)) {
      return refuse('malformed', `key ${header.data.kid} signed twice`);
    }
    found.push({ kid: header.data.kid, header: entry.protected, signature });
  }
  return found;
}
