// Is what was refused refused for ever, by everybody? Then it has no effect and may be moved out of
// the way. What those signed who could make it valid, and this version cannot read, may be of a
// later version: the agent halts there instead, and never skips it (C4).

import * as z from 'zod/mini';
import { envelopeKind } from '../../shared/control/envelope.ts';
import { type DocumentKind, decodeJws, type Keyring, verifyJws } from '../../shared/control/jws.ts';
import type { ControlCode, Refusal } from '../../shared/control/refusal.ts';
import { keyringOf, type Role, type Trust, trustKind } from '../../shared/control/trust.ts';
import type { Crypto } from '../../shared/crypto.ts';

/** Whose signature may make sense of it after all, by why it was refused. */
const OPEN: Readonly<Partial<Record<ControlCode, (role: Role) => boolean>>> = {
  rules: () => true,
  // Who alone could never have made it valid must not be able to halt anybody (I16): another form
  // begins by a commit of operators that names other rules.
  malformed: ({ kind }) => kind === 'operator' || kind === 'recovery',
  // Another history begins by the recovery role alone (C13).
  generation: ({ kind }) => kind === 'recovery',
};

/** Documents of any version: the bytes and who signed them. */
const anyEnvelope: DocumentKind<unknown> = { ...envelopeKind, schema: z.unknown() };
const anyTrust: DocumentKind<unknown> = { ...trustKind, schema: z.unknown() };

export async function isFinal(
  { code }: Refusal,
  input: unknown,
  trust: Trust,
  crypto: Crypto,
): Promise<boolean> {
  if (code === 'trust-missing') return namesTrustBeyond(input, trust, crypto);
  const mayMean = OPEN[code];
  if (mayMean === undefined) return true;
  const decoded = decodeJws(input, anyEnvelope, crypto);
  // Not even signed bytes of that size: nobody can make a commit of it.
  if (!('claimed' in decoded)) return true;
  const keyring: Keyring = (kid) => {
    const role = trust.roles.get(kid);
    return role !== undefined && mayMean(role) ? (trust.keys.get(kid) ?? null) : null;
  };
  const verified = await verifyJws(decoded, keyring, crypto);
  return 'code' in verified;
}

/**
 * Nobody could sign under a document that there is not, if `trust` was read after the commit. An
 * older one may have been taken away from the source, and come back.
 */
function namesTrustBeyond(input: unknown, trust: Trust, crypto: Crypto): boolean {
  const decoded = decodeJws(input, envelopeKind, crypto);
  return 'claimed' in decoded && decoded.claimed.trust > trust.document.version;
}

/** The same of the trust document after `trust`; a threshold of its root keys could make one. */
export async function isFinalTrust(
  { code }: Refusal,
  input: unknown,
  trust: Trust,
  crypto: Crypto,
): Promise<boolean> {
  if (code !== 'malformed') return true;
  const decoded = decodeJws(input, anyTrust, crypto);
  if (!('claimed' in decoded)) return true;
  const root = keyringOf(trust, 'root');
  const kids = new Set<string>();
  for (const one of decoded.signatures) {
    const verified = await verifyJws({ ...decoded, signatures: [one] }, root, crypto);
    if (!('code' in verified)) kids.add(one.kid);
  }
  return kids.size < trust.document.root.threshold;
}
