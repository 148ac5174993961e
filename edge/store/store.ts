// An edge store: a full holder behind three calls. Deltas come in through `ingest`, isolates read
// `head` and `piece`. The shell of `shared/control`: it verifies, admits, writes rows, answers.

import { utf8 } from '../../shared/canonical.ts';
import { isBehind } from '../../shared/control/activation.ts';
import { answerOf, placeOf, type StoreAnswer } from '../../shared/control/answer.ts';
import { compareVersions, linkAt, newest } from '../../shared/control/chain.ts';
import { openDelta } from '../../shared/control/delta.ts';
import { isOnFork } from '../../shared/control/fork.ts';
import { writeHead } from '../../shared/control/head.ts';
import { emptyHolder, type Holder, trusting } from '../../shared/control/holder.ts';
import {
  type MapNode,
  MissingNodeError,
  type NodeSource,
} from '../../shared/control/merkle-map.ts';
import { admitBatch, type HolderStorage, verifyBatch } from '../../shared/control/receive.ts';
import { type Refusal, refuse } from '../../shared/control/refusal.ts';
import type { Trust } from '../../shared/control/trust.ts';
import type { Crypto, Signer } from '../../shared/crypto.ts';
import { type Digest, digestBytes } from '../../shared/digest.ts';
import { OVERTAKEN_HEAD_MS } from '../../shared/limits.ts';
import { type Floor, openFloor, openHolder, openTrustRows, readState } from './open.ts';
import { Receipts } from './receipts.ts';
import type { Rows } from './rows.ts';

export interface StorePorts {
  readonly nowMs: () => number;
  readonly crypto: Crypto;
  readonly rows: Rows;
  /** The key of an edge, for receipts; null: none are given. */
  readonly signers: readonly Signer[];
  /** One JSON line. */
  readonly log: (line: object) => void;
}

export class Store {
  readonly #id: string;
  readonly #ports: StorePorts;
  readonly #storage: HolderStorage;
  readonly #receipts: Receipts;
  #holder: Holder;
  #floor: Floor | null;
  /** When the head moved last, ms. */
  #movedAtMs: number;
  /** The newest of which no threshold named more than it holds. */
  #level: { readonly holder: Holder; readonly atMs: number } | null = null;

  private constructor(id: string, holder: Holder, floor: Floor | null, ports: StorePorts) {
    this.#id = id;
    this.#holder = holder;
    this.#floor = floor;
    this.#ports = ports;
    this.#movedAtMs = ports.nowMs();
    const signer = () => edgeSigner(this.#holder.trust, ports);
    this.#receipts = new Receipts(id, holder.trust, { ...ports, signer });
    this.#storage = {
      nodes: nodeSource(ports),
      store: (admitted) => {
        ports.rows.store(admitted, this.#receipts.applied(admitted.link));
        // At once: should what comes next throw, memory and rows are still one state.
        this.#holder = admitted.holder;
        this.#movedAtMs = ports.nowMs();
      },
    };
  }

  static async open(id: string, pin: Trust, ports: StorePorts): Promise<Store> {
    const { rows, crypto } = ports;
    const { trust, refused } = await openTrustRows(rows, pin, crypto);
    for (const { code, detail } of refused) {
      ports.log({ alarm: code, store: id, detail, action: 'trust row left out' });
    }
    if (refused.length > 0) rows.setTrust(trust);
    warnWithoutKey(id, trust, ports);
    const { floor, fault } = await openFloor(rows, trust, crypto);
    if (fault !== null) {
      ports.log({ alarm: fault.code, store: id, detail: fault.detail, action: 'floor put right' });
      if (floor !== null) rows.setFloor(floor, floor.jws);
    }
    const opened = await openHolder(rows, floor, trust, crypto);
    if (opened.kind === 'opened') return new Store(id, opened.holder, floor, ports);
    ports.log({ alarm: opened.code, store: id, detail: opened.detail, action: 'start again' });
    const { holder, writes } = emptyHolder(trust, crypto);
    rows.reset(writes);
    return new Store(id, holder, floor, ports);
  }

  /** Takes a delta (C9) and says where the store stands. Never throws on what it is sent. */
  async ingest(text: string): Promise<StoreAnswer> {
    const { crypto, nowMs } = this.#ports;
    const delta = await openDelta(text, this.#holder.trust, crypto);
    if (delta.kind === 'refused') return this.#answer([delta], delta.code);
    this.#trusting(delta.trust);
    const batch = await verifyBatch(this.#holder, delta, crypto);
    try {
      const taken = admitBatch(this.#holder, batch, this.#storage, nowMs(), crypto);
      this.#holder = taken.holder;
      this.#leaveFork(delta.commits, nowMs());
      this.#raiseFloor();
      this.#noteLevel();
      return await this.#answer([...delta.refused, ...taken.refused]);
    } catch (error) {
      if (!(error instanceof MissingNodeError)) throw error;
      this.#startAgain(refuse('digest', error.message));
      return this.#answer([], 'digest');
    }
  }

  /**
   * What isolates read; never anything below the floor (E5). Words that name more than is held make
   * nothing active in who reads them, so while commits follow one another fast they wait a moment
   * for what they name.
   */
  head(): string {
    const [level, holder] = [this.#level, this.#holder];
    const isRecent = level !== null && this.#ports.nowMs() - level.atMs <= OVERTAKEN_HEAD_MS;
    const isUsed = isRecent && leadsTo(level.holder, holder);
    return writeHead(isUsed ? level.holder : holder, this.#floor);
  }

  /** Canonical text of a piece, or null. A damaged one is never handed out. */
  piece(digest: string): string | null {
    const text = this.#ports.rows.piece(digest);
    if (text === null || digestBytes(utf8(text), this.#ports.crypto) === digest) return text;
    this.#startAgain(refuse('digest', `piece ${digest} is damaged`));
    return null;
  }

  /** Rows first: after a restart the store still knows what it judged by. */
  #trusting(adopted: Trust): void {
    const next = trusting(this.#holder, adopted);
    if (next === this.#holder) return;
    this.#ports.rows.setTrust(next.trust);
    this.#holder = next;
  }

  /** Back to what is active, when what is held beyond it is not what sites attest (`fork.ts`). */
  #leaveFork(commits: readonly unknown[], nowMs: number): void {
    const stillMs = nowMs - this.#movedAtMs;
    if (!isOnFork(this.#holder, commits, { nowMs, stillMs }, this.#ports.crypto)) return;
    const refusal = refuse(
      'equivocation',
      'what is held beyond the active version is not attested',
    );
    const { active, chain } = this.#holder;
    if (active === null) {
      this.#startAgain(refusal);
      return;
    }
    const state = readState(this.#ports.rows, active, this.#ports.crypto);
    if ('code' in state) {
      this.#startAgain(state);
      return;
    }
    const { code, detail } = refusal;
    this.#ports.log({ alarm: code, store: this.#id, detail, action: 'rewind' });
    this.#ports.rows.rewind(active.version);
    const kept = chain.filter(({ version }) => version <= active.version);
    this.#holder = { ...this.#holder, state, chain: kept };
  }

  #noteLevel(): void {
    const holder = this.#holder;
    const newestLink = newest(holder.chain);
    if (newestLink === null || isBehind(newestLink, holder)) return;
    this.#level = { holder, atMs: this.#ports.nowMs() };
  }

  /** The floor outlives the rows: it is written when a version first becomes active (E5). */
  #raiseFloor(): void {
    const { active } = this.#holder;
    if (active === null) return;
    if (this.#floor !== null && compareVersions(active, this.#floor) <= 0) return;
    this.#ports.rows.setFloor(active, active.jws);
    this.#floor = active;
  }

  #startAgain({ code, detail }: Refusal): void {
    this.#ports.log({ alarm: code, store: this.#id, detail, action: 'start again' });
    const { holder, writes } = emptyHolder(this.#holder.trust, this.#ports.crypto);
    this.#ports.rows.reset(writes);
    this.#holder = holder;
  }

  async #answer(refused: readonly Refusal[], code?: string): Promise<StoreAnswer> {
    // Relayed words cross on the way: an older one is refused and no alarm.
    const alarming = refused.filter(({ code: one }) => one !== 'attestation-old');
    for (const refusal of alarming) {
      this.#ports.log({ alarm: refusal.code, store: this.#id, detail: refusal.detail });
    }
    this.#receipts.refuse(alarming.map(({ code: one }) => one));
    const floor = this.#floor === null ? null : placeOf(this.#floor);
    const answer = { ...answerOf(this.#id, this.#holder, refused), floor };
    return {
      ...answer,
      ...(await this.#receipts.answered(this.#holder.chain)),
      ...(code === undefined ? {} : { code }),
    };
  }
}

/**
 * Has nothing happened since but that more came? Else `before` may have a commit that was taken
 * back, or words of a key that counts no longer (C5).
 */
function leadsTo(before: Holder, now: Holder): boolean {
  const head = newest(before.chain);
  const isHeld = head !== null && linkAt(now.chain, head.generation, head.version) === head;
  return isHeld && before.trust === now.trust && before.active === now.active;
}

/** The key that trust names as an edge's; a store without one works, and gives no receipts. */
function edgeSigner(trust: Trust, { signers }: StorePorts): Signer | null {
  return signers.find(({ kid }) => trust.roles.get(kid)?.kind === 'edge') ?? null;
}

function warnWithoutKey(id: string, trust: Trust, ports: StorePorts): void {
  if (edgeSigner(trust, ports) !== null) return;
  const kids = ports.signers.map(({ kid }) => kid).join(', ');
  const detail = kids === '' ? 'EDGE_KEY is no private key' : `${kids} is no edge's key`;
  ports.log({ alarm: 'key-unknown', store: id, detail, action: 'no receipts' });
}

/** Nodes from rows, each checked against the digest it was asked for; damage is a missing node. */
function nodeSource({ rows, crypto }: StorePorts): NodeSource {
  return (digest: Digest) => {
    const text = rows.piece(digest);
    if (text === null || digestBytes(utf8(text), crypto) !== digest) return undefined;
    return JSON.parse(text) as MapNode;
  };
}
