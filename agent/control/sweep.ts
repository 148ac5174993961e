// Going through all that lies in etcd, slowly and for ever, for what nobody told of: keys that are
// not as the fold has them, and keys of the fold that are not there. What it comes across is judged
// with what was told (`put-right.ts`), once the fold is as new as what was read.
//
// What ends it early costs nothing: the pages that were read count, and the next one goes on there.

import { setImmediate } from 'node:timers/promises';
import { MissingNodeError } from '../../shared/control/merkle-map.ts';
import { type Etcd, endOf, type KeyValue } from '../etcd-port.ts';
import {
  ETCD_READ_BYTES_MAX,
  REPAIRS_TURN_MS,
  SWEEP_INTERVAL_MS,
  SWEEP_KEYS_MAX,
  SWEEP_STRETCH_KEYS,
} from '../limits.ts';
import type { EtcdKeys } from './etcd-keys.ts';
import { Pages, sizeOf } from './pages.ts';
import { expectedKeys, repairOf, type Truth } from './repair.ts';
import type { Touched } from './touched.ts';

export class Sweep {
  readonly #pages: Pages;
  readonly #keys: EtcdKeys;
  readonly #touched: Touched;
  readonly #elapsedMs: () => number;
  #sweptAtMs = Number.NEGATIVE_INFINITY;
  /** Where the next one begins. */
  #cursor: string;

  constructor(etcd: Etcd, keys: EtcdKeys, touched: Touched, elapsedMs: () => number) {
    this.#pages = new Pages(etcd);
    this.#keys = keys;
    this.#touched = touched;
    this.#elapsedMs = elapsedMs;
    this.#cursor = keys.control;
  }

  /** Some pages, when it is time. Rejects with EtcdError, MissingNodeError. */
  async run(truth: Truth): Promise<void> {
    const nowMs = this.#elapsedMs();
    if (nowMs - this.#sweptAtMs < SWEEP_INTERVAL_MS) return;
    this.#sweptAtMs = nowMs;
    const [from, end] = [this.#cursor, endOf(this.#keys.control)];
    const present = new Set<string>();
    let [to, revision, size] = [from, 0n, 0];
    try {
      const isInTime = () => this.#elapsedMs() - nowMs <= REPAIRS_TURN_MS;
      const hasRoom = () => present.size < SWEEP_KEYS_MAX && size < ETCD_READ_BYTES_MAX;
      while (to < end && hasRoom() && isInTime()) {
        const page = await this.#pages.read(to, end);
        for (const kv of page.kvs) {
          present.add(kv.key);
          if (this.#differs(kv, truth)) this.#touched.add(kv);
        }
        to = page.more ? `${page.kvs.at(-1)?.key}\0` : end;
        ({ revision } = page);
        size += sizeOf(page);
      }
    } finally {
      this.#cursor = to < end ? to : this.#keys.control;
      await this.#miss({ from, to, present, revision }, truth);
    }
  }

  #differs(kv: KeyValue, truth: Truth): boolean {
    try {
      return repairOf(kv, this.#keys, truth) !== null;
    } catch (error) {
      // Its piece was let go since: it is judged by a newer fold.
      if (error instanceof MissingNodeError) return true;
      throw error;
    }
  }

  /** A commit newer than this fold may have taken a key away: `revision` lets it wait for that. */
  async #miss({ from, to, present, revision }: Swept, truth: Truth): Promise<void> {
    let looked = 0;
    for (const key of expectedKeys(this.#keys, truth)) {
      if (++looked % SWEEP_STRETCH_KEYS === 0) await setImmediate();
      if (key < from || key >= to || present.has(key)) continue;
      this.#touched.add({ key, value: null, modRevision: revision });
    }
  }
}

/** What was there from `from` to `to`, at `revision` or a little before. */
interface Swept {
  readonly from: string;
  readonly to: string;
  readonly present: ReadonlySet<string>;
  readonly revision: bigint;
}
