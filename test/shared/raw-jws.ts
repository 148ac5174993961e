// Signed documents as `signJws` would never make them: any header text over any payload text, with
// a signature that holds. What is refused is then refused for its form alone.

import { encodeBase64url } from '../../shared/base64url.ts';
import { canonical, utf8 } from '../../shared/canonical.ts';
import { ALGORITHM, type DocumentType, type Jws } from '../../shared/control/jws.ts';
import type { Signer } from '../../shared/crypto.ts';

export function headerText(kid: string, typ: DocumentType, more: object = {}): string {
  return canonical({ alg: ALGORITHM, kid, typ, ...more });
}

export function encodeText(text: string): string {
  return encodeBase64url(utf8(text));
}

/** A signature over parts that are already encoded, in whatever spelling. */
export async function signParts(header: string, payload: string, signer: Signer): Promise<Jws> {
  const signature = await signer.sign(utf8(`${header}.${payload}`));
  return { payload, signatures: [{ protected: header, signature: encodeBase64url(signature) }] };
}

export function signTexts(header: string, payload: string, signer: Signer): Promise<Jws> {
  return signParts(encodeText(header), encodeText(payload), signer);
}
