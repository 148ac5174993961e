// Putting etcd right: what was touched since the last turn and what a slow sweep comes across is
// held against the fold, and where it differs it is written over, if it is still what was judged.
// Every agent does it; the first transaction wins and the others compare in vain.
//
// What a crash leaves behind: a finding that was not put right yet is found again by the sweep.

import { canonical } from '../../shared/canonical.ts';
import { MissingNodeError } from '../../shared/control/merkle-map.ts';
import {
  ETCD_PAGE_KEYS_MAX,
  REPAIRS_PER_TURN_MAX,
  SWEEP_INTERVAL_MS,
  SWEEP_KEYS_MAX,
} from '../../shared/limits.ts';
import { type Etcd, EtcdError, endOf, type KeyValue } from '../etcd-port.ts';
import type { Finding, Misplaced, SourceRead } from '../ports.ts';
import { type EtcdKeys, readCommitText, readTrustText } from './etcd-keys.ts';
import { isForked, type Repair, repairOf, type Truth } from './repair.ts';
import type { Touched } from './touched.ts';

export class PutRight {
  readonly #etcd: Etcd;
  readonly #keys: EtcdKeys;
  readonly #touched: Touched;
  readonly #elapsedMs: () => number;
  #sweptAtMs = Number.NEGATIVE_INFINITY;
  #cursor: string;
  /** The last version that the sweep came across; what is missing behind it was deleted. */
  #lastCommit = 0n;

  constructor(etcd: Etcd, keys: EtcdKeys, touched: Touched, elapsedMs: () => number) {
    this.#etcd = etcd;
    this.#keys = keys;
    this.#touched = touched;
    this.#elapsedMs = elapsedMs;
    this.#cursor = keys.control;
  }

  /** Never rejects: what could not be put right now is found again. */
  async run(
    truth: Truth,
    { revision = 0n, commits }: SourceRead,
    misplaced: readonly Misplaced[],
  ): Promise<readonly Finding[]> {
    const findings: Finding[] = [];
    const head = truth.holder.state.manifest.version;
    // It was read from the head on. Nothing lands until it is back, so nobody waits for the sweep.
    if (commits.length === 0 && head > 0n) {
      this.#touched.add({ key: this.#keys.commit(head), value: null, modRevision: revision });
    }
    try {
      for (const one of misplaced) findings.push(...(await this.#reject(one)));
      await this.#sweep(truth);
      for (const found of this.#touched.take(revision, REPAIRS_PER_TURN_MAX)) {
        const repair = repairOf(found, this.#keys, truth);
        if (repair === 'later') this.#touched.add(found);
        if (repair === null || repair === 'later') continue;
        if (await isForked(repair, this.#keys, truth)) continue;
        const done = await this.#apply(repair);
        findings.push({ key: repair.key, done });
      }
    } catch (error) {
      // A piece that was pruned, or etcd gone: the sweep comes by again.
      if (!(error instanceof EtcdError) && !(error instanceof MissingNodeError)) throw error;
    }
    return findings;
  }

  /** The next version's place is freed; what lay there is kept as evidence (C2). */
  async #reject({ kind, version, input }: Misplaced): Promise<readonly Finding[]> {
    const key = kind === 'commit' ? this.#keys.commit(version) : this.#keys.trust(version);
    const { kvs } = await this.#etcd.range({ from: key, to: `${key}\0`, limit: 1 });
    const [there] = kvs;
    const read = kind === 'commit' ? readCommitText : readTrustText;
    // Somebody was faster, or it is no longer what was judged.
    if (there === undefined || canonical(read(there.value)) !== canonical(input)) return [];
    const done = await this.#apply({ ...there, expected: null, keep: true });
    return [{ key, done }];
  }

  async #apply({ key, value, modRevision, expected, keep }: Repair): Promise<boolean> {
    const put = expected === null ? [] : [{ key, value: expected }];
    if (keep && value !== null) put.push({ key: this.#keys.rejectedAt(modRevision), value });
    const remove = expected === null ? [key] : [];
    // A key that is not there compares as 0, whenever it was deleted.
    const compare = [{ key, modRevision: value === null ? 0n : modRevision }];
    const { succeeded } = await this.#etcd.txn({ compare, put, remove });
    return succeeded;
  }

  async #sweep({ holder }: Truth): Promise<void> {
    const nowMs = this.#elapsedMs();
    if (nowMs - this.#sweptAtMs < SWEEP_INTERVAL_MS) return;
    this.#sweptAtMs = nowMs;
    const head = holder.state.manifest.version;
    for (let keys = 0; keys < SWEEP_KEYS_MAX; ) {
      const to = endOf(this.#keys.control);
      const page = await this.#etcd.range({ from: this.#cursor, to, limit: ETCD_PAGE_KEYS_MAX });
      for (const kv of page.kvs) this.#come(kv, head);
      keys += page.kvs.length;
      this.#cursor = page.more ? `${page.kvs.at(-1)?.key}\0` : this.#keys.control;
      if (page.more) continue;
      this.#lastCommit = 0n;
      return;
    }
  }

  #come(kv: KeyValue, head: bigint): void {
    this.#touched.add(kv);
    const version = kv.key.startsWith(this.#keys.commits) ? this.#keys.versionOf(kv.key) : null;
    if (version === null || version > head) return;
    for (let missing = this.#lastCommit + 1n; missing < version; missing++) {
      this.#touched.add({ key: this.#keys.commit(missing), value: null, modRevision: 0n });
    }
    this.#lastCommit = version;
  }
}
