// Putting a commit that somebody signed into the source (C2). It is judged first by the steps of
// every receiver (C7), so that nothing lands that would be refused; then the source's own
// compare-and-swap decides who was first.
//
// What a crash leaves behind: the commit whole, or nothing. Whoever asked sends the same bytes
// again and learns which: the same commit is 'landed' however often it is proposed.

import { type Envelope, envelopeKind } from '../../shared/control/envelope.ts';
import {
  admitCommit,
  type Holder,
  screenCommit,
  verifyCommit,
} from '../../shared/control/holder.ts';
import { type Decoded, decodeJws } from '../../shared/control/jws.ts';
import { MissingNodeError, type NodeSource } from '../../shared/control/merkle-map.ts';
import { isRefusal, type Refusal, refuse } from '../../shared/control/refusal.ts';
import type { Digest } from '../../shared/digest.ts';
import { type AgentPorts, SourceError } from '../ports.ts';

export type Proposal =
  | { readonly kind: 'landed'; readonly version: bigint; readonly envelope: Digest }
  /** Somebody else was first: `head` is the newest version held here. */
  | { readonly kind: 'conflict'; readonly version: bigint; readonly head: bigint }
  /** Written or not: nobody knows until the source can be read again. */
  | { readonly kind: 'unavailable'; readonly detail: string }
  | Refusal;

/**
 * Refusals: those of `decodeJws`, `screenCommit`, `verifyCommit`, `judge`; rollback, when the
 * source no longer has what is held here.
 */
export async function propose(
  input: unknown,
  holder: Holder,
  nodes: NodeSource,
  { source, crypto }: Pick<AgentPorts, 'source' | 'crypto'>,
): Promise<Proposal> {
  const decoded = decodeJws(input, envelopeKind, crypto);
  if (!('claimed' in decoded)) return decoded;
  const { version } = decoded.claimed;
  const head = holder.state.manifest.version;
  const screened = screenCommit(holder, input, 0, crypto);
  if (screened.kind === 'known') return landed(decoded);
  // Signed for a place that is taken: the author is told what is there now, and may sign again.
  if (screened.kind === 'refused' && version <= head) return { kind: 'conflict', version, head };
  if (screened.kind === 'refused') return screened;
  const verified = await verifyCommit(decoded, holder.trust, crypto);
  if ('code' in verified) return verified;
  try {
    const admitted = admitCommit(holder, verified, nodes, crypto);
    if (isRefusal(admitted)) return admitted;
    const outcome = await source.append(version, verified.jws);
    if (outcome === 'created') return landed(decoded);
    if (outcome === 'detached') {
      return refuse('rollback', `the source no longer has commit ${head}, which it follows`);
    }
    const [there] = (await source.read(version)).commits;
    const same = decodeJws(there, envelopeKind, crypto);
    if ('claimed' in same && same.digest === decoded.digest) return landed(decoded);
    return { kind: 'conflict', version, head };
  } catch (error) {
    // The state moved on while this one was verified: pieces of the older one are gone.
    if (error instanceof MissingNodeError) return { kind: 'conflict', version, head };
    if (error instanceof SourceError) return { kind: 'unavailable', detail: error.message };
    throw error;
  }
}

function landed({ claimed, digest }: Decoded<Envelope>): Proposal {
  return { kind: 'landed', version: claimed.version, envelope: digest };
}
