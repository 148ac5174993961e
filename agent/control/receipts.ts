// What edge stores signed that they did (C11), as this agent heard it with their answers: the
// newest receipt of each store and its newest APPLIED. Shown by status, and a value for whoever
// collects them; nothing is decided by it. A gap is counted (old receipts go, and answers carry
// some); a store that contradicts itself is an alarm.

import type { StoreAnswer } from '../../shared/control/answer.ts';
import type { Verified } from '../../shared/control/jws.ts';
import {
  type AppliedOutcome,
  followReceipt,
  type Receipt,
  readReceipt,
  verifyReceipt,
} from '../../shared/control/receipt.ts';
import { isRefusal, type Refusal } from '../../shared/control/refusal.ts';
import type { Trust } from '../../shared/control/trust.ts';
import type { Crypto } from '../../shared/crypto.ts';
import { CHAIN_LINKS_MAX } from '../../shared/limits.ts';
import { idSchema } from '../../shared/schema.ts';
import { RECEIPTS_WAITING_MAX, STORES_HEARD_MAX } from '../limits.ts';

export interface HeldReceipts {
  readonly newest: Verified<Receipt>;
  /** null: none was among what this agent heard. */
  readonly applied: AppliedOutcome | null;
  /** Receipts that were never heard of, since this agent started. */
  readonly missing: bigint;
}

/** One store, as status shows it. */
export interface StoreReceipts {
  readonly store: string;
  readonly seq: bigint;
  /** The store's clock when it wrote the newest receipt, ms. */
  readonly at: number;
  /** Code of the newest receipt, when that is a refusal. */
  readonly refused: string | null;
  readonly applied: { readonly generation: bigint; readonly version: bigint } | null;
  /** Versions behind the agent's head; null where no APPLIED is known. */
  readonly lag: bigint | null;
  /** How long the first version that it lacks has been held here, ms; null when that is unknown. */
  readonly lagMs: number | null;
  readonly missing: bigint;
}

export class Receipts {
  readonly #crypto: Crypto;
  readonly #alarm: (refusal: Refusal) => void;
  readonly #held = new Map<string, HeldReceipts>();
  #waiting: readonly Verified<Receipt>[] = [];
  /** When this agent first held a version, ms; oldest first. */
  readonly #firstSeenMs = new Map<bigint, number>();

  constructor(crypto: Crypto, alarm: (refusal: Refusal) => void) {
    this.#crypto = crypto;
    this.#alarm = alarm;
  }

  /** The newest of every store, verified. */
  get newest(): ReadonlyMap<string, HeldReceipts> {
    return this.#held;
  }

  /** Heard and not collected yet, the oldest first. */
  get waiting(): readonly Verified<Receipt>[] {
    return this.#waiting;
  }

  /** These were collected. Others may have come meanwhile, and the oldest have been let go. */
  collected(receipts: readonly Verified<Receipt>[]): void {
    const done = new Set(receipts);
    this.#waiting = this.#waiting.filter((one) => !done.has(one));
  }

  /** This agent holds `version` from now on. */
  see(version: bigint, nowMs: number): void {
    if (this.#firstSeenMs.has(version)) return;
    this.#firstSeenMs.set(version, nowMs);
    for (const oldest of this.#firstSeenMs.keys()) {
      if (this.#firstSeenMs.size <= CHAIN_LINKS_MAX) break;
      this.#firstSeenMs.delete(oldest);
    }
  }

  /** Takes what stores answered, one after the other. Never rejects. */
  async hear(answers: readonly StoreAnswer[], trust: Trust): Promise<void> {
    for (const { id, earlier = [], receipts = [] } of answers) {
      for (const input of [...earlier, ...receipts]) {
        const fault = await this.#take(id, input, trust);
        if (fault !== null) this.#alarm(fault);
      }
    }
  }

  status(head: bigint, nowMs: number): readonly StoreReceipts[] {
    return [...this.#held].map(([store, { newest, applied, missing }]): StoreReceipts => {
      const { seq, at, outcome } = newest.value;
      const next = applied === null ? undefined : this.#firstSeenMs.get(applied.version + 1n);
      const isLevel = applied !== null && applied.version >= head;
      const behindMs = next === undefined ? null : Math.max(0, nowMs - next);
      return {
        store,
        seq,
        at,
        refused: outcome.kind === 'refused' ? outcome.code : null,
        applied:
          applied === null ? null : { generation: applied.generation, version: applied.version },
        lag: applied === null ? null : isLevel ? 0n : head - applied.version,
        lagMs: isLevel ? 0 : behindMs,
        missing,
      };
    });
  }

  async #take(store: string, input: unknown, trust: Trust): Promise<Refusal | null> {
    const decoded = readReceipt(input, store, trust, this.#crypto);
    if (!('claimed' in decoded)) return decoded;
    // Answers repeat themselves: what is old news costs no verification.
    if (this.#isOldNews(store, decoded.claimed, decoded.digest)) return null;
    const verified = await verifyReceipt(decoded, trust, this.#crypto);
    if ('code' in verified) return verified;
    // Read after the wait: another answer may have been taken meanwhile.
    const held = this.#held.get(store) ?? null;
    const followed = followReceipt(held === null ? null : placeOf(held.newest), verified);
    const isContradiction = isRefusal(followed);
    if (!isContradiction && followed.kind !== 'next') return null;
    if (isContradiction && followed.code === 'equivocation') return followed;
    if (held === null && !this.#mayHold(store)) return null;
    const { outcome } = verified.value;
    // What is let go is in etcd only if another agent heard it: stores are asked for no older ones.
    this.#waiting = [...this.#waiting, verified].slice(-RECEIPTS_WAITING_MAX);
    this.#held.set(store, {
      newest: verified,
      applied: outcome.kind === 'applied' ? outcome : (held?.applied ?? null),
      missing: (held?.missing ?? 0n) + (isContradiction ? 0n : followed.missing),
    });
    // Alarmed, and followed from there: the store's later words are still its words.
    return isContradiction ? followed : null;
  }

  #isOldNews(store: string, { seq, at }: Receipt, digest: string): boolean {
    const newest = this.#held.get(store)?.newest;
    if (newest === undefined) return false;
    const { value } = newest;
    return newest.digest === digest || (seq < value.seq && at <= value.at);
  }

  /** Edges name stores, and answers are not signed: names that are made up must not pile up. */
  #mayHold(store: string): boolean {
    return this.#held.size < STORES_HEARD_MAX && idSchema.safeParse(store).success;
  }
}

function placeOf({ value, digest }: Verified<Receipt>) {
  return { seq: value.seq, at: value.at, digest };
}
