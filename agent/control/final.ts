// Is a commit that was refused refused for ever, by everybody? Then it has no effect and may be
// moved out of the way. One that a known key signed and this version cannot read may be of a later
// version: the agent halts there instead, and never skips it (C4).

import * as z from 'zod/mini';
import { envelopeKind } from '../../shared/control/envelope.ts';
import { type DocumentKind, decodeJws, type Keyring, verifyJws } from '../../shared/control/jws.ts';
import type { ControlCode, Refusal } from '../../shared/control/refusal.ts';
import type { Role, Trust } from '../../shared/control/trust.ts';
import type { Crypto } from '../../shared/crypto.ts';

/** Whose signature may make sense of it after all, by why it was refused. */
const OPEN: Readonly<Partial<Record<ControlCode, (role: Role) => boolean>>> = {
  rules: () => true,
  malformed: () => true,
  // Another history begins by the recovery role alone (C13).
  generation: ({ kind }) => kind === 'recovery',
};

/** The envelope of any version: the bytes and who signed them. */
const anyEnvelope: DocumentKind<unknown> = { ...envelopeKind, schema: z.unknown() };

export async function isFinal(
  { code }: Refusal,
  input: unknown,
  trust: Trust,
  crypto: Crypto,
): Promise<boolean> {
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
