// Who stands behind a commit (C3): an operator, or an agent with a mandate. What can be told
// without state is told here, for those who fold and for isolates, which do not.

import type { Crypto } from '../crypto.ts';
import { type Mandate, mandateFault, openBatch } from './batch.ts';
import type { Envelope } from './envelope.ts';
import { type Decoded, type Verified, verifyJws } from './jws.ts';
import { type Refusal, refuse } from './refusal.ts';
import { keyringOf, type TrustDoc } from './trust.ts';

/** A commit whose signatures hold: its author's, and all those in its mandate if an agent's. */
export type VerifiedCommit = Verified<Envelope> & { readonly mandate?: Mandate };

/**
 * Verifies the author's signature; of an agent's commit also every signature inside. Refusals:
 * key-unknown, signature, approvals (an agent's commit carries one batch), those of `openBatch`.
 */
export async function verifyAuthor(
  decoded: Decoded<Envelope>,
  trust: TrustDoc,
  crypto: Crypto,
): Promise<VerifiedCommit | Refusal> {
  const [first] = decoded.signatures;
  const byAgent = trust.roles.get(first?.kid ?? '')?.kind === 'agent';
  const envelope = await verifyJws(
    decoded,
    keyringOf(trust, byAgent ? 'agent' : 'operator'),
    crypto,
  );
  if ('code' in envelope || !byAgent) return envelope;
  const [batch, ...others] = envelope.value.approvals;
  if (batch === undefined || others.length > 0) {
    return refuse('approvals', 'an agent’s commit carries one batch');
  }
  const mandate = await openBatch(batch, trust, crypto);
  return mandate.kind === 'refused' ? mandate : { ...envelope, mandate };
}

/**
 * May its author author it? Refusals: author, role, approvals, and those of `mandateFault`.
 */
export function authorFault(commit: VerifiedCommit, trust: TrustDoc): Refusal | null {
  const [kid, ...others] = commit.kids;
  if (kid === undefined || others.length > 0) return refuse('author', 'a commit has one author');
  const role = trust.roles.get(kid);
  if (role?.kind !== 'operator' && role?.kind !== 'agent') {
    return refuse('role', `${kid} is neither an operator's nor an agent's key`);
  }
  const { value, mandate } = commit;
  if (role.name !== value.author) {
    return refuse('author', `signed by ${role.name}, claims ${value.author}`);
  }
  if (role.kind === 'agent') {
    if (mandate !== undefined) return mandateFault(value, mandate, trust);
    return refuse('approvals', 'an agent’s commit carries one batch');
  }
  return value.approvals.length === 0
    ? null
    : refuse('approvals', 'approvals of an operator’s commit cannot be judged yet');
}
