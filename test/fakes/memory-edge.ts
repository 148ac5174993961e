// An edge's ingest with its stores, in memory: real holders that judge what they are sent, without
// rows and without a Worker. A store may be stuck, as one is that runs under other rules.

import { nodeCrypto } from '../../agent/adapters/crypto.ts';
import { Pieces } from '../../agent/control/pieces.ts';
import { canonical } from '../../shared/canonical.ts';
import { answerOf, type StoreAnswer } from '../../shared/control/answer.ts';
import { openDelta } from '../../shared/control/delta.ts';
import { emptyHolder, type Holder } from '../../shared/control/holder.ts';
import { admitBatch, verifyBatch } from '../../shared/control/receive.ts';
import { refuse } from '../../shared/control/refusal.ts';
import type { Trust } from '../../shared/control/trust.ts';

export class MemoryStore {
  readonly id: string;
  /** Refuses every commit, and says so. */
  stuck = false;
  readonly #pieces: Pieces;
  #holder: Holder;

  constructor(id: string, trust: Trust) {
    this.id = id;
    const { holder, writes } = emptyHolder(trust, nodeCrypto);
    this.#holder = holder;
    this.#pieces = new Pieces(writes, holder.state.manifest.global);
  }

  get head(): bigint {
    return this.#holder.state.manifest.version;
  }

  get active(): bigint | null {
    return this.#holder.active?.version ?? null;
  }

  /** When a threshold last supported what is active here, ms. */
  get freshAtMs(): number {
    return this.#holder.freshAtMs;
  }

  async ingest(
    delta: { readonly commits: readonly unknown[]; readonly attestations: readonly unknown[] },
    nowMs: number,
  ): Promise<StoreAnswer> {
    const commits = this.stuck ? [] : delta.commits;
    const { attestations } = delta;
    const batch = await verifyBatch(this.#holder, { commits, attestations }, nodeCrypto);
    const taken = admitBatch(this.#holder, batch, this.#pieces, nowMs, nodeCrypto);
    this.#holder = taken.holder;
    const refused = this.stuck ? [refuse('rules', 'other rules')] : taken.refused;
    return answerOf(this.id, this.#holder, refused);
  }
}

export class MemoryEdge {
  readonly stores: readonly MemoryStore[];
  /** Every delta that was sent, taken or not. */
  readonly deltas: string[] = [];
  readonly #trust: Trust;
  readonly #nowMs: () => number;

  constructor(trust: Trust, nowMs: () => number, ids: readonly string[] = ['weur']) {
    this.#trust = trust;
    this.#nowMs = nowMs;
    this.stores = ids.map((id) => new MemoryStore(id, trust));
  }

  /** The text of the answer; rejects as the real push does where the edge answers no 200. */
  async ingest(delta: string): Promise<string> {
    this.deltas.push(delta);
    const opened = await openDelta(delta, this.#trust, nodeCrypto);
    if (opened.kind === 'refused') throw new Error(`answered 403 ${opened.code}`);
    const answers = this.stores.map((store) => store.ingest(opened, this.#nowMs()));
    const edge = { version: null, ageMs: null, verdicts: {}, counters: {} };
    return canonical({ stores: await Promise.all(answers), edge });
  }
}
