// A request that says who asks: a small signed document in a header, for readers that come without
// a client certificate. It names the very request (method, target, body) and the moment, so that
// what somebody copies from a wire or a log reads this once more for half a minute and nothing
// else. Only reads accept it: what changes something carries a signature of its own.

import * as z from 'zod/mini';
import { decodeBase64url, encodeBase64url } from '../base64url.ts';
import { canonicalBytes, parseCanonical } from '../canonical.ts';
import type { Crypto, Signer } from '../crypto.ts';
import { type Digest, digestBytes } from '../digest.ts';
import {
  CLOCK_SKEW_MS,
  REQUEST_BYTES_MAX,
  REQUEST_HEADER_CHARS_MAX,
  REQUEST_LIFE_MS,
  REQUEST_TARGET_CHARS_MAX,
} from '../limits.ts';
import { digestSchema, idSchema } from '../schema.ts';
import { type DocumentKind, decodeJws, type Keyring, signJws, verifyJws } from './jws.ts';
import { type Refusal, refuse } from './refusal.ts';
import { keyringOf, type Role, type Trust } from './trust.ts';

/** The scheme of the `authorization` header. */
export const REQUEST_SCHEME = 'Portolan';

export const requestSchema = z.strictObject({
  kind: z.literal('request'),
  cluster: idSchema,
  method: z.enum(['GET', 'POST']),
  /** Path and query, as sent. */
  target: z.string().check(z.regex(/^\//), z.maxLength(REQUEST_TARGET_CHARS_MAX)),
  /** SHA-256 of the body; absent when there is none. */
  bodyDigest: z.exactOptional(digestSchema),
  /** Wall clock of the author, ms. */
  at: z.int().check(z.gte(0)),
});

export type SignedRequest = z.infer<typeof requestSchema>;

const requestKind: DocumentKind<SignedRequest> = {
  typ: 'portolan-request+json',
  maxBytes: REQUEST_BYTES_MAX,
  schema: requestSchema,
};

/** A request as the receiver sees it. An empty body is none. */
export interface SeenRequest {
  readonly method: string;
  readonly target: string;
  readonly body: Uint8Array;
}

/** The value of the `authorization` header. */
export async function signRequest(
  { method, target, body }: SeenRequest & { readonly method: SignedRequest['method'] },
  { cluster, atMs }: { readonly cluster: string; readonly atMs: number },
  signer: Signer,
  crypto: Crypto,
): Promise<string> {
  const digest = bodyDigest(body, crypto);
  const named = digest === null ? {} : { bodyDigest: digest };
  const document = { kind: 'request', cluster, method, target, ...named, at: atMs };
  const jws = await signJws(requestKind.typ, document, [signer]);
  return `${REQUEST_SCHEME} ${encodeBase64url(canonicalBytes(jws))}`;
}

/** Whose signed requests are heard at all; approvers, edges and root keys have other work. */
export type Asker = 'operator' | 'agent' | 'provisioner';

/** Who may read what an agent knows. */
export const READERS: readonly Asker[] = ['operator', 'agent'];

/**
 * Who signed this very request, if it is one of `roles`. Refusals: those of `decodeJws` and
 * `verifyJws`, cluster, author, request (another method, target, body or moment).
 */
export async function openRequest(
  header: string,
  seen: SeenRequest,
  { trust, nowMs }: { readonly trust: Trust; readonly nowMs: number },
  crypto: Crypto,
  roles: readonly Asker[] = READERS,
): Promise<Role | Refusal> {
  const jws = readHeader(header);
  if (jws === null) return refuse('malformed', `not ${REQUEST_SCHEME} and base64url of a JWS`);
  const decoded = decodeJws(jws.value, requestKind, crypto);
  if (!('claimed' in decoded)) return decoded;
  // What costs nothing is looked at before the signature.
  const fault = faultOf(decoded.claimed, seen, trust.cluster, nowMs, crypto);
  if (fault !== null) return fault;
  const verified = await verifyJws(decoded, askersOf(trust, roles), crypto);
  if ('code' in verified) return verified;
  const [kid = '', ...others] = verified.kids;
  const role = trust.roles.get(kid);
  if (role === undefined || others.length > 0) return refuse('author', 'one key asks');
  return role;
}

function faultOf(
  { cluster, method, target, bodyDigest: named, at }: SignedRequest,
  seen: SeenRequest,
  own: string,
  nowMs: number,
  crypto: Crypto,
): Refusal | null {
  if (cluster !== own) return refuse('cluster', cluster);
  // Attack: a request that was signed for one question, sent with another.
  if (method !== seen.method || target !== seen.target) {
    return refuse('request', `signed for ${method} ${target}`);
  }
  if ((named ?? null) !== bodyDigest(seen.body, crypto)) {
    return refuse('request', 'signed for another body');
  }
  if (at > nowMs + CLOCK_SKEW_MS) return refuse('request', `signed ${at - nowMs} ms from now`);
  if (nowMs - at > REQUEST_LIFE_MS) return refuse('request', `signed ${nowMs - at} ms ago`);
  return null;
}

function askersOf(trust: Trust, roles: readonly Asker[]): Keyring {
  const rings = roles.map((role) => keyringOf(trust, role));
  return (kid) => rings.map((ring) => ring(kid)).find((key) => key !== null) ?? null;
}

function bodyDigest(body: Uint8Array, crypto: Crypto): Digest | null {
  return body.length === 0 ? null : digestBytes(body, crypto);
}

function readHeader(header: string): { readonly value: unknown } | null {
  if (header.length > REQUEST_HEADER_CHARS_MAX) return null;
  const [scheme, text, ...rest] = header.split(' ');
  if (scheme !== REQUEST_SCHEME || text === undefined || rest.length > 0) return null;
  const bytes = decodeBase64url(text);
  return bytes === null ? null : parseCanonical(bytes);
}
