// The active state as a gateway holds it, made of real commits and two sites' words.

import { nodeCrypto } from '../../agent/adapters/crypto.ts';
import type { Standing } from '../../agent/control/hold.ts';
import { EMPTY_BOOK } from '../../shared/control/attestation.ts';
import { receiveAll, verifyAttestations } from '../../shared/control/holder.ts';
import type { Provenance } from '../../shared/provenance/profile.ts';
import { attest, type TestHolder } from '../shared/kit.ts';

/** What `held` is at, attested at `nowMs`. Later commits into `held` do not change it. */
export async function standingOf(held: TestHolder, nowMs: number): Promise<Standing> {
  const { trust } = held.holder;
  const words = [await attest(held, 'eu1', nowMs), await attest(held, 'us1', nowMs)];
  const { verified } = await verifyAttestations(EMPTY_BOOK, words, trust, nodeCrypto);
  const { holder } = receiveAll(held.holder, verified, nowMs);
  if (holder.active === null) throw new Error('a threshold attested it');
  const nodes = new Map(held.nodes);
  const { global } = holder.state;
  return { holder, link: holder.active, global, nodes: (digest) => nodes.get(digest) };
}

/** A call of the tenant acme to its home, as an edge on version 1 writes it. */
export function provenanceOf(changes: Partial<Provenance> = {}): Provenance {
  return {
    host: 'acme.example',
    aud: 'eu1',
    tenant: 'acme',
    scope: 'eu',
    op: 'read',
    generation: 1n,
    version: 1n,
    commitIndex: 1n,
    lamport: 1n,
    epoch: 1n,
    decision: 'd-1',
    hop: 1,
    body: 'none',
    ...changes,
  };
}
