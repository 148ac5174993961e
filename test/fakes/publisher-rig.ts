// An agent's publisher on a clock, a holder and a source that a test may change, with edges in
// memory or answers that a test gives itself.

import { nodeCrypto } from '../../agent/adapters/crypto.ts';
import { Publisher, type Target } from '../../agent/control/publish.ts';
import { Receipts } from '../../agent/control/receipts.ts';
import type { AgentPorts, Push } from '../../agent/ports.ts';
import { EMPTY_BOOK } from '../../shared/control/attestation.ts';
import { type Holder, receiveAll, verifyAttestations } from '../../shared/control/holder.ts';
import {
  agentKey,
  attest,
  commit,
  FIRST,
  newHolder,
  type TestHolder,
  testTrust,
} from '../shared/kit.ts';
import { NOW } from '../shared/words.ts';
import { priorityOf, settled } from './fleet.ts';
import { MemoryEdge, type MemoryStore } from './memory-edge.ts';
import { MemoryKeep } from './memory-keep.ts';
import { MemorySource } from './memory-source.ts';

export const trust = await testTrust();

export const EDGE: Target = { url: 'edge', kind: 'edge' };
export const PEER: Target = { url: 'peer', kind: 'peer' };

export async function historyOf(versions: number): Promise<TestHolder> {
  const held = newHolder(trust);
  await commit(held, FIRST);
  for (let version = 2; version <= versions; version++) {
    await commit(held, priorityOf(version % 10));
  }
  return held;
}

/** `held`, attested by two sites at `nowMs`. */
export async function attested(
  held: TestHolder,
  nowMs: number,
  book = EMPTY_BOOK,
): Promise<Holder> {
  const words = await Promise.all([attest(held, 'eu1', nowMs), attest(held, 'us1', nowMs)]);
  const { verified } = await verifyAttestations(book, words, trust, nodeCrypto);
  return receiveAll({ ...held.holder, book }, verified, nowMs).holder;
}

export class PublisherRig {
  nowMs = NOW;
  holder: Holder;
  readonly source: MemorySource;
  readonly sent: { readonly url: string; readonly delta: string }[] = [];
  readonly publisher: Publisher;

  constructor(holder: Holder, source: MemorySource, push: Push, targets: readonly Target[]) {
    this.holder = holder;
    this.source = source;
    const ports: AgentPorts = {
      nowMs: () => this.nowMs,
      crypto: nodeCrypto,
      signer: agentKey('eu1'),
      source,
      keep: new MemoryKeep(),
      push: (url, delta) => {
        this.sent.push({ url, delta });
        return push(url, delta);
      },
      log: () => {},
    };
    const sender = { site: 'eu1', agent: 'eu1-1', targets };
    const receipts = new Receipts(nodeCrypto, () => {});
    this.publisher = new Publisher(sender, () => this.holder, ports, receipts);
  }

  async publish(): Promise<void> {
    this.publisher.publish();
    await settled();
  }

  to(target: Target): readonly string[] {
    return this.sent.filter(({ url }) => url === target.url).map(({ delta }) => delta);
  }
}

/** A rig that pushes to one edge with these stores, and to `others`, who say nothing. */
export class EdgeRig extends PublisherRig {
  readonly edge: MemoryEdge;

  private constructor(held: TestHolder, holder: Holder, ids: readonly string[], others: number) {
    const edges: MemoryEdge[] = [];
    const push: Push = async (url, delta) => {
      const [edge] = edges;
      if (url !== EDGE.url || edge === undefined) throw new Error('nobody is there');
      return edge.ingest(delta);
    };
    const peers = Array.from({ length: others }, (_, i): Target => {
      return { url: `peer ${i}`, kind: 'peer' };
    });
    super(holder, new MemorySource(held.commits), push, [EDGE, ...peers]);
    this.edge = new MemoryEdge(trust, () => this.nowMs, ids);
    edges.push(this.edge);
  }

  static async on(held: TestHolder, ids = ['weur'], others = 0): Promise<EdgeRig> {
    return new EdgeRig(held, await attested(held, NOW), ids, others);
  }

  store(index: number): MemoryStore {
    const store = this.edge.stores[index];
    if (store === undefined) throw new Error(`no store ${index}`);
    return store;
  }
}

export function commitsIn(delta: string): number {
  return (JSON.parse(delta) as { commits: readonly unknown[] }).commits.length;
}
