// An edge store: a full holder behind three calls. Deltas come in through `ingest`, isolates read
// `head` and `piece`. The shell of `shared/control`: it verifies, admits, writes rows, answers.

import { utf8 } from '../../shared/canonical.ts';
import { contradiction } from '../../shared/control/activation.ts';
import { answerOf, type StoreAnswer } from '../../shared/control/answer.ts';
import { compareVersions } from '../../shared/control/chain.ts';
import { openDelta } from '../../shared/control/delta.ts';
import { writeHead } from '../../shared/control/head.ts';
import { emptyHolder, type Holder } from '../../shared/control/holder.ts';
import {
  type MapNode,
  MissingNodeError,
  type NodeSource,
} from '../../shared/control/merkle-map.ts';
import { admitBatch, type HolderStorage, verifyBatch } from '../../shared/control/receive.ts';
import { type Refusal, refuse } from '../../shared/control/refusal.ts';
import type { Trust } from '../../shared/control/trust.ts';
import type { Crypto } from '../../shared/crypto.ts';
import { type Digest, digestBytes } from '../../shared/digest.ts';
import { openHolder, readState } from './open.ts';
import type { Rows } from './rows.ts';

export interface StorePorts {
  readonly nowMs: () => number;
  readonly crypto: Crypto;
  readonly rows: Rows;
  /** One JSON line. */
  readonly log: (line: object) => void;
}

export class Store {
  readonly #id: string;
  readonly #ports: StorePorts;
  readonly #storage: HolderStorage;
  #holder: Holder;

  private constructor(id: string, holder: Holder, ports: StorePorts) {
    this.#id = id;
    this.#holder = holder;
    this.#ports = ports;
    this.#storage = {
      nodes: nodeSource(ports),
      store: (admitted) => ports.rows.store(admitted),
    };
  }

  static async open(id: string, trust: Trust, ports: StorePorts): Promise<Store> {
    const opened = await openHolder(ports.rows, trust, ports.crypto);
    if (opened.kind === 'opened') return new Store(id, opened.holder, ports);
    ports.log({ alarm: opened.code, store: id, detail: opened.detail, action: 'start again' });
    const { holder, writes } = emptyHolder(trust, ports.crypto);
    ports.rows.reset(writes);
    return new Store(id, holder, ports);
  }

  /** Takes a delta (C9) and says where the store stands. Never throws on what it is sent. */
  async ingest(text: string): Promise<StoreAnswer> {
    const { crypto, nowMs } = this.#ports;
    const delta = await openDelta(text, this.#holder.trust, crypto);
    if (delta.kind === 'refused') return this.#answer([delta], delta.code);
    const batch = await verifyBatch(this.#holder, delta, crypto);
    try {
      const taken = admitBatch(this.#holder, batch, this.#storage, nowMs(), crypto);
      this.#holder = taken.holder;
      this.#leaveFork(nowMs());
      this.#raiseFloor();
      return this.#answer(taken.refused);
    } catch (error) {
      if (!(error instanceof MissingNodeError)) throw error;
      this.#startAgain(refuse('digest', error.message));
      return this.#answer([], 'digest');
    }
  }

  /** Below its own floor (it began again) a store has no commits to offer yet (E5). */
  head(): string {
    const floor = this.#ports.rows.floor();
    const behind = floor !== null && compareVersions(this.#holder.state.manifest, floor) < 0;
    return writeHead(behind ? { ...this.#holder, chain: [] } : this.#holder);
  }

  /** Canonical text of a piece, or null. A damaged one is never handed out. */
  piece(digest: string): string | null {
    const text = this.#ports.rows.piece(digest);
    if (text === null || digestBytes(utf8(text), this.#ports.crypto) === digest) return text;
    this.#startAgain(refuse('digest', `piece ${digest} is damaged`));
    return null;
  }

  /**
   * A commit that an operator signed but nobody decided (the loser of a race, say) can be brought
   * here by any one agent. When a threshold attests another one in its place, the store goes back
   * to what is active, and the next delta brings the right one (C9, I16).
   */
  #leaveFork(nowMs: number): void {
    const { active, chain } = this.#holder;
    const fork = contradiction(active, { ...this.#holder, nowMs });
    if (fork === null) return;
    const refusal = refuse('equivocation', `commit ${fork.version} is not the attested one`);
    if (active === null) {
      this.#startAgain(refusal);
      return;
    }
    const state = readState(this.#ports.rows, active, this.#ports.crypto);
    if ('code' in state) {
      this.#startAgain(state);
      return;
    }
    this.#ports.log({
      alarm: refusal.code,
      store: this.#id,
      detail: refusal.detail,
      action: 'rewind',
    });
    this.#ports.rows.rewind(active.version);
    const kept = chain.filter(({ version }) => version <= active.version);
    this.#holder = { ...this.#holder, state, chain: kept };
  }

  /** The floor outlives the rows: it is written when a version first becomes active (E5). */
  #raiseFloor(): void {
    const { active } = this.#holder;
    const floor = this.#ports.rows.floor();
    if (active !== null && (floor === null || compareVersions(active, floor) > 0)) {
      this.#ports.rows.raiseFloor(active);
    }
  }

  #startAgain({ code, detail }: Refusal): void {
    this.#ports.log({ alarm: code, store: this.#id, detail, action: 'start again' });
    const { holder, writes } = emptyHolder(this.#holder.trust, this.#ports.crypto);
    this.#ports.rows.reset(writes);
    this.#holder = holder;
  }

  #answer(refused: readonly Refusal[], code?: string): StoreAnswer {
    // Relayed words cross on the way: an older one is refused and no alarm.
    for (const refusal of refused.filter(({ code: one }) => one !== 'attestation-old')) {
      this.#ports.log({ alarm: refusal.code, store: this.#id, detail: refusal.detail });
    }
    const answer = {
      ...answerOf(this.#id, this.#holder, refused),
      floor: this.#ports.rows.floor(),
    };
    return code === undefined ? answer : { ...answer, code };
  }
}

/** Nodes from rows, each checked against the digest it was asked for; damage is a missing node. */
function nodeSource({ rows, crypto }: StorePorts): NodeSource {
  return (digest: Digest) => {
    const text = rows.piece(digest);
    if (text === null || digestBytes(utf8(text), crypto) !== digest) return undefined;
    return JSON.parse(text) as MapNode;
  };
}
