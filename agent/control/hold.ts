// What an agent holds, and the one place where it changes: the folded state, the pieces, the words
// of others, what is active, and what is kept on disk before anybody is served by it.
//
// Between verifying (asynchronous) and admitting (synchronous) other input may have been taken, so
// position is judged again on admission; that, and no lock, keeps it consistent.

import { compareVersions, type Link } from '../../shared/control/chain.ts';
import { activated, emptyHolder, type Holder, trusting } from '../../shared/control/holder.ts';
import type { NodeSource } from '../../shared/control/merkle-map.ts';
import { admitBatch, type HolderStorage, verifyBatch } from '../../shared/control/receive.ts';
import type { Global } from '../../shared/control/record.ts';
import type { Refusal } from '../../shared/control/refusal.ts';
import type { Trust } from '../../shared/control/trust.ts';
import { PIECES_RETENTION_VERSIONS } from '../limits.ts';
import type { AgentPorts, Kept } from '../ports.ts';
import type { Alarms } from './alarms.ts';
import type { Desk, Fault } from './follow.ts';
import { Memory } from './memory.ts';
import { Pieces } from './pieces.ts';

/** The active state as an agent holds it: what its gateway decides by. */
export interface Standing {
  readonly holder: Holder;
  readonly link: Link;
  readonly global: Global;
  readonly nodes: NodeSource;
}

/** Signed documents as they came. */
interface Input {
  readonly commits: readonly unknown[];
  readonly attestations: readonly unknown[];
}

type Ports = Pick<AgentPorts, 'crypto' | 'nowMs' | 'keep'>;

export class Hold implements Desk {
  readonly memory: Memory;
  readonly storage: HolderStorage;
  readonly #ports: Ports;
  readonly #alarms: Alarms;
  readonly #pieces: Pieces;
  #holder: Holder;
  #standing: Standing | null = null;
  #change = Promise.withResolvers<void>();

  /** `admitted` is told of every commit that is taken. */
  constructor(
    trust: Trust,
    kept: Kept,
    ports: Ports,
    alarms: Alarms,
    admitted: (link: Link) => void,
  ) {
    this.#ports = ports;
    this.#alarms = alarms;
    this.memory = new Memory(kept, ports.keep);
    const { holder, writes } = emptyHolder(trust, ports.crypto);
    this.#holder = holder;
    this.#pieces = new Pieces(writes, holder.state.manifest.global);
    this.storage = {
      nodes: this.#pieces.nodes,
      store: (one) => {
        admitted(one.link);
        this.#pieces.store(one);
      },
    };
  }

  get holder(): Holder {
    return this.#holder;
  }

  /** Every node of the state that is held. */
  get nodes(): NodeSource {
    return this.#pieces.nodes;
  }

  get standing(): Standing | null {
    return this.#standing;
  }

  /** Resolves when another version has become active. */
  nextChange(): Promise<void> {
    return this.#change.promise;
  }

  alarm(fault: Fault): void {
    this.#alarms.raise(fault);
  }

  /** Takes the next holder. What it makes active is decided by only after it is kept (`stand`). */
  advance(holder: Holder): void {
    this.#holder = holder;
    const standing = this.#standing;
    if (standing?.link.digest === holder.active?.digest && standing !== null) {
      this.#standing = { ...standing, holder };
    }
  }

  /** Verifies and admits; what was refused is the answer. */
  async take(input: Input): Promise<readonly Refusal[]> {
    const { crypto, nowMs } = this.#ports;
    const batch = await verifyBatch(this.#holder, input, crypto);
    const taken = admitBatch(this.#holder, batch, this.storage, nowMs(), crypto);
    this.advance(taken.holder);
    return taken.refused;
  }

  /** Kept first, judged by then: a restart must not bring back a key that was revoked (C5). */
  async trusting(adopted: Trust): Promise<void> {
    const next = trusting(this.#holder, adopted);
    if (next === this.#holder) return;
    const fault = this.memory.trustFault(next.trust);
    if (fault?.code === 'trust-fork') {
      this.alarm(fault);
      return;
    }
    await this.memory.saveTrust(next.trust);
    this.advance(trusting(this.#holder, adopted));
  }

  /**
   * Counts what is active. Kept first, decided by then: a restart must not undo what somebody was
   * served by (I2).
   */
  async stand(): Promise<void> {
    this.advance(activated(this.#holder, this.#ports.nowMs()));
    const { active } = this.#holder;
    if (active === null || !this.memory.allows(active)) return;
    if (this.memory.trustFault(this.#holder.trust) !== null) return;
    if (active.digest === this.#standing?.link.digest) return;
    await this.memory.saveActive(active);
    const global = this.#pieces.global(active.manifest.global);
    const held = this.#standing;
    // Another turn or delta may have come further while this one was written.
    if (global === null || (held !== null && compareVersions(held.link, active) >= 0)) return;
    this.#standing = { holder: this.#holder, link: active, global, nodes: this.nodes };
    // An edge may still walk from an older root, and have nobody but gateways to ask (E3).
    this.#pieces.prune(active.version - PIECES_RETENTION_VERSIONS);
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }
}
