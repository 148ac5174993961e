// What an attacker makes, and a way past real signatures for laws that are about something else.
// Everything here is well-formed up to the one thing that is wrong with it.

import { encodeBase64url } from '../../shared/base64url.ts';
import { canonical, canonicalBytes, utf8 } from '../../shared/canonical.ts';
import type {
  DocumentKind,
  DocumentType,
  Jws,
  Keyring,
  Verified,
} from '../../shared/control/jws.ts';
import { ALGORITHM, decodeJws, signJws, verifyJws } from '../../shared/control/jws.ts';
import type { Trust } from '../../shared/control/trust.ts';
import { openTrust, type TrustDocument } from '../../shared/control/trust.ts';
import type { Signer } from '../../shared/crypto.ts';
import { type Digest, digestOf } from '../../shared/digest.ts';
import { crypto, keyNamed, receive, signTrust, type TestHolder, trustDocument } from './kit.ts';

/** The same law fails with the same values everywhere; a new seed is a new test. */
export const SEED = 20_261_114;

export const alice = keyNamed('alice');
export const bob = keyNamed('bob');

/** Some digest that names nothing. */
export function digestNamed(name: string): Digest {
  return digestOf(name, crypto);
}

/** Signs `text` as it stands, canonical or not, under a header of choice. */
export async function signText(
  typ: DocumentType,
  text: string,
  signers: readonly Signer[],
  alg: string = ALGORITHM,
): Promise<Jws> {
  const payload = encodeBase64url(utf8(text));
  const signatures = await Promise.all(
    signers.map(async (signer) => {
      const header = encodeBase64url(canonicalBytes({ alg, kid: signer.kid, typ }));
      const signature = await signer.sign(utf8(`${header}.${payload}`));
      return { protected: header, signature: encodeBase64url(signature) };
    }),
  );
  return { payload, signatures };
}

/** The text that was signed. */
export function payloadOf({ payload }: Jws): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
    Uint8Array.fromBase64(payload, { alphabet: 'base64url' }),
  );
}

/** One bit of the first signature is another. */
export function withBrokenSignature(jws: Jws): Jws {
  const [first, ...others] = jws.signatures;
  if (first === undefined) return jws;
  const bytes = Uint8Array.fromBase64(first.signature, { alphabet: 'base64url' });
  bytes[10] = (bytes[10] ?? 0) ^ 1;
  return {
    ...jws,
    signatures: [{ ...first, signature: encodeBase64url(bytes) }, ...others],
  };
}

/** Verifies under any key of trust, whatever its role: as a receiver with a slip would. */
export async function verifiedByAny<T>(
  jws: Jws,
  kind: DocumentKind<T>,
  trust: Trust,
): Promise<Verified<T>> {
  const keyring: Keyring = (kid) => trust.keys.get(kid) ?? null;
  const decoded = decodeJws(jws, kind, crypto);
  if ('code' in decoded) throw new Error(`${decoded.code}: ${decoded.detail}`);
  const verified = await verifyJws(decoded, keyring, crypto);
  if ('code' in verified) throw new Error(`${verified.code}: ${verified.detail}`);
  return verified;
}

/** A document as if the holder of `kid` had signed it: no signature is made or checked. */
export async function vouched<T>(
  kind: DocumentKind<T>,
  document: unknown,
  kid: string,
): Promise<Verified<T>> {
  const signer: Signer = { kid, sign: async () => new Uint8Array(64) };
  const jws = await signJws(kind.typ, document, [signer]);
  const decoded = decodeJws(jws, kind, crypto);
  if ('code' in decoded) throw new Error(`${decoded.code}: ${decoded.detail}`);
  const believing = { ...crypto, verify: async () => true };
  const verified = await verifyJws(decoded, () => new Uint8Array(32), believing);
  if ('code' in verified) throw new Error(`${verified.code}: ${verified.detail}`);
  return verified;
}

/** The code of a refusal, else the kind of what came instead. */
export function codeOf(outcome: unknown): string {
  if (typeof outcome === 'string') return outcome;
  if (outcome === null || typeof outcome !== 'object') return 'nothing';
  if ('code' in outcome) return String(outcome.code);
  return 'kind' in outcome ? String(outcome.kind) : 'taken';
}

/** What `held` answers to a commit. Throws when a refusal changed anything (C9). */
export async function outcomeOf(held: TestHolder, jws: unknown): Promise<string> {
  const { holder } = held;
  const before = canonical(holder.state);
  const counts = [held.nodes.size, holder.chain.length, holder.book.latest.size];
  const outcome = await receive(held, jws);
  if (outcome !== 'known' && !('code' in outcome)) return 'taken';
  const after = [held.nodes.size, held.holder.chain.length, held.holder.book.latest.size];
  if (held.holder !== holder || canonical(holder.state) !== before || `${after}` !== `${counts}`) {
    throw new Error(`${codeOf(outcome)} changed the holder`);
  }
  return codeOf(outcome);
}

export async function trustWith(changes: Partial<TrustDocument>): Promise<Trust> {
  const trust = await openTrust(await signTrust(trustDocument(changes)), crypto);
  if ('code' in trust) throw new Error(`test trust: ${trust.code} ${trust.detail}`);
  return trust;
}

/** Sites s1, s2, … of `agents` agents each; the least majority is the threshold. */
export function trustOfSites(count: number, agents = 1): Promise<Trust> {
  const sites = Array.from({ length: count }, (_, i) => [`s${i + 1}`, agentsOf(i + 1, agents)]);
  const threshold = Math.floor(count / 2) + 1;
  return trustWith({ sites: Object.fromEntries(sites), threshold });
}

export function agentOf(site: number, agent: number) {
  return keyNamed(`agent s${site}-${agent}`);
}

function agentsOf(site: number, count: number) {
  const keys = Array.from({ length: count }, (_, i) => {
    return [`s${site}-${i + 1}`, agentOf(site, i + 1).x] as const;
  });
  return { agents: Object.fromEntries(keys) };
}
