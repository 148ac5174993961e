// Commits in an etcd quorum (C1, C2). Reads are linearizable, so that what a turn folds is what the
// quorum has decided by then; the tail only says that there is something to read, and which keys
// were touched by whom there should be nobody.
//
// Rejected: folding what the watch tells. A watch is ordered but not linearizable, and its known
// defects would be ours.

import { canonical, parseJson } from '../../shared/canonical.ts';
import { envelopeKind } from '../../shared/control/envelope.ts';
import { decodeJws, type Jws, type Verified } from '../../shared/control/jws.ts';
import type { Receipt } from '../../shared/control/receipt.ts';
import type { Hasher } from '../../shared/crypto.ts';
import type { Digest } from '../../shared/digest.ts';
import { type Etcd, EtcdError, type KeyValue, type RangeRead } from '../etcd-port.ts';
import { COMMITS_PER_READ_MAX, ETCD_READ_BYTES_MAX, WATCH_LAG_MS } from '../limits.ts';
import {
  type CommitSource,
  type Finding,
  type Misplaced,
  SourceError,
  type SourceRead,
} from '../ports.ts';
import { collectReceipts } from './collect.ts';
import { EtcdKeys, readCommitText, readTrustText } from './etcd-keys.ts';
import { Pages, sizeOf } from './pages.ts';
import { PutRight } from './put-right.ts';
import type { Truth } from './repair.ts';
import { Tail, type TailPorts, type Tiding } from './tail.ts';
import { Touched } from './touched.ts';

export interface EtcdSourcePorts extends Pick<TailPorts, 'etcd' | 'pause' | 'trouble'> {
  readonly hasher: Hasher;
  /** Monotonic, ms. */
  readonly elapsedMs: () => number;
}

/** Attempts to append when somebody changed the head, or the commit before, meanwhile. */
const APPEND_ATTEMPTS = 3;

export class EtcdSource implements CommitSource {
  readonly keys: EtcdKeys;
  readonly #touched = new Touched();
  readonly #putRight: PutRight;
  readonly #etcd: Etcd;
  readonly #pages: Pages;
  readonly #ports: EtcdSourcePorts;
  readonly #tail: Tail;
  #changed = Promise.withResolvers<void>();
  /** Up to where the tail has lost something; null as long as it has told all. */
  #lost: bigint | null = null;
  /** The newest revision that was ever shown. */
  #newest: bigint;
  /** It was once shown less than that (C13). */
  #restored = false;
  #laggingSinceMs: number | null = null;

  /** `since`: the revision up to which this agent has seen everything; null for a new one. */
  constructor(cluster: string, since: bigint | null, ports: EtcdSourcePorts) {
    this.keys = new EtcdKeys(cluster);
    this.#newest = since ?? 0n;
    this.#etcd = ports.etcd;
    this.#pages = new Pages(ports.etcd);
    this.#ports = ports;
    this.#putRight = new PutRight(ports.etcd, this.keys, this.#touched, ports.elapsedMs);
    const tell = (tiding: Tiding) => this.#take(tiding);
    this.#tail = new Tail(this.keys.control, since, { ...ports, tell });
  }

  /** Everything up to here was seen, key by key; null before the watch has begun. */
  get seen(): bigint | null {
    return this.#tail.revision;
  }

  /** Follows until it is closed. */
  run(): Promise<void> {
    return this.#tail.run();
  }

  close(): void {
    this.#tail.close();
  }

  changed(): Promise<void> {
    return this.#changed.promise;
  }

  async read(from: bigint): Promise<SourceRead> {
    const commits: unknown[] = [];
    const indexes = new Map<bigint, bigint>();
    let { revision, term } = { revision: 0n, term: 0n };
    let newest = 0n;
    // Before: another read may see more and be answered first.
    const seenBefore = this.#newest;
    let [more, size] = [true, 0];
    while (more && commits.length < COMMITS_PER_READ_MAX && size < ETCD_READ_BYTES_MAX) {
      const next = from + BigInt(commits.length);
      const page = await this.#read(() => {
        return this.#pages.read(this.keys.commit(next), this.keys.commitsEnd);
      });
      ({ revision, term } = page);
      const dense = densePart(page.kvs, next, this.keys);
      for (const { value, createRevision, modRevision } of dense) {
        indexes.set(from + BigInt(commits.length), createRevision);
        if (modRevision > newest) newest = modRevision;
        commits.push(readCommitText(value));
      }
      // Behind a hole nothing counts, however many there are.
      more = page.more && dense.length === page.kvs.length;
      size += sizeOf(page);
    }
    this.#hasten(newest);
    const { seen } = this;
    const wentBack = revision < seenBefore;
    this.#restored ||= wentBack;
    if (revision > this.#newest) this.#newest = revision;
    return {
      commits,
      more,
      commitIndex: (version) => indexes.get(version) ?? 0n,
      term,
      revision,
      ...(seen === null ? {} : { seen }),
      ...(this.#lost === null ? {} : { lost: this.#lost }),
      wentBack,
      restored: this.#restored,
    };
  }

  /**
   * One transaction (C2). Whoever does not hear how it ended reads the commit back: the same text
   * means that it was ours.
   */
  async append(version: bigint, jws: Jws): Promise<'created' | 'exists' | 'detached'> {
    const text = canonical(jws);
    const { keys } = this;
    const { previous, put, remove } = this.#records(jws);
    for (let attempt = 1; attempt <= APPEND_ATTEMPTS; attempt++) {
      const names = [keys.head, keys.commit(version), keys.commit(version - 1n)] as const;
      const [head, there, before] = await Promise.all(names.map((key) => this.#get(key)));
      if (there) return there.value === text ? 'created' : 'exists';
      // Attack: the newest commit deleted, so that what comes next lands where nobody reads it.
      if (version > 1n && (!before || this.#digestOf(before) !== previous)) return 'detached';
      const compare = names.map((key, i) => ({
        key,
        modRevision: [head, there, before][i]?.modRevision ?? 0n,
      }));
      const done = await this.#txn({
        compare,
        put: [{ key: keys.commit(version), value: text }, ...put],
        remove,
      });
      if (done === 'written') return 'created';
      if (done === 'unknown') return this.#readBack(version, text);
    }
    throw new SourceError(`commit ${version} was not written: others write the head all the time`);
  }

  async trust(version: bigint): Promise<unknown> {
    const found = await this.#get(this.keys.trust(version));
    return found === null ? null : readTrustText(found.value);
  }

  async join(agent: string): Promise<unknown> {
    const found = await this.#get(this.keys.join(agent));
    return found === null ? null : (parseJson(found.value)?.value ?? null);
  }

  writeTrust(version: bigint, jws: Jws): Promise<'created' | 'exists'> {
    return this.#create(this.keys.trust(version), canonical(jws));
  }

  writeJoin(agent: string, jws: Jws): Promise<'created' | 'exists'> {
    return this.#create(this.keys.join(agent), canonical(jws));
  }

  /** Another agent may have been first, or these credentials may not: nobody depends on it. */
  async compact(revision: bigint): Promise<void> {
    try {
      await this.#etcd.compact(revision);
    } catch (error) {
      if (!(error instanceof EtcdError)) throw error;
      if (error.code !== 'compacted') this.#ports.trouble(`compaction: ${error.message}`);
    }
  }

  collect(receipts: readonly Verified<Receipt>[]): Promise<number> {
    return collectReceipts(receipts, this.#etcd, this.keys);
  }

  putRight(
    truth: Truth,
    read: SourceRead,
    misplaced: readonly Misplaced[],
  ): Promise<readonly Finding[]> {
    return this.#putRight.run(truth, read, misplaced);
  }

  /** Of the envelope that lies at a key of `commits/`; null where it is none. */
  #digestOf(there: KeyValue): Digest | null {
    const decoded = decodeJws(readCommitText(there.value), envelopeKind, this.#ports.hasher);
    return 'claimed' in decoded ? decoded.digest : null;
  }

  /** What a commit follows, what its operations make of the records, the head it leads to. */
  #records(jws: Jws) {
    const decoded = decodeJws(jws, envelopeKind, this.#ports.hasher);
    // Only what was judged is appended, so this is a fault of ours.
    if (!('claimed' in decoded)) throw new Error(`not a commit: ${decoded.code}`);
    const { generation, version, previous, operations } = decoded.claimed;
    const head = canonical({ generation, version, envelope: decoded.digest });
    const put = [{ key: this.keys.head, value: head }];
    const remove: string[] = [];
    for (const operation of operations) {
      const key = this.keys.record(operation.key);
      if (operation.op === 'delete') remove.push(key);
      else put.push({ key, value: canonical(operation.value) });
    }
    return { previous, put, remove };
  }

  async #create(key: string, value: string): Promise<'created' | 'exists'> {
    const compare = [{ key, modRevision: 0n }];
    const done = await this.#txn({ compare, put: [{ key, value }], remove: [] });
    if (done === 'written') return 'created';
    const there = await this.#get(key);
    if (there === null) throw new SourceError(`${key} may be written or not`);
    return there.value === value ? 'created' : 'exists';
  }

  async #readBack(version: bigint, text: string): Promise<'created' | 'exists'> {
    const there = await this.#get(this.keys.commit(version));
    // It may still be on its way through the quorum.
    if (there === null) throw new SourceError(`commit ${version} may be written or not`);
    return there.value === text ? 'created' : 'exists';
  }

  async #txn(transaction: Parameters<Etcd['txn']>[0]): Promise<'written' | 'refused' | 'unknown'> {
    try {
      const { succeeded } = await this.#etcd.txn(transaction);
      return succeeded ? 'written' : 'refused';
    } catch (error) {
      if (error instanceof EtcdError && error.code === 'ambiguous') return 'unknown';
      throw sourceError(error);
    }
  }

  async #get(key: string): Promise<KeyValue | null> {
    const range = { from: key, to: `${key}\0`, limit: 1 };
    const { kvs } = await this.#read(() => this.#etcd.range(range));
    return kvs[0] ?? null;
  }

  async #read(read: () => Promise<RangeRead>): Promise<RangeRead> {
    try {
      return await read();
    } catch (error) {
      throw sourceError(error);
    }
  }

  #take(tiding: Tiding): void {
    if (tiding.kind === 'revision') this.#touched.note(tiding.events);
    else if (tiding.lost) this.#lost = tiding.revision;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** A read that knows of a write which the stream has not told: is the stream still alive? */
  #hasten(newest: bigint): void {
    const { seen } = this;
    const nowMs = this.#ports.elapsedMs();
    if (seen === null || newest <= seen) this.#laggingSinceMs = null;
    else if (this.#laggingSinceMs === null) this.#laggingSinceMs = nowMs;
    else if (nowMs - this.#laggingSinceMs >= WATCH_LAG_MS) {
      this.#laggingSinceMs = null;
      this.#tail.renew();
    }
  }
}

/** The keys that follow one another from `next` on. */
function densePart(kvs: readonly KeyValue[], next: bigint, keys: EtcdKeys): readonly KeyValue[] {
  const end = kvs.findIndex(({ key }, i) => keys.versionOf(key) !== next + BigInt(i));
  return end < 0 ? kvs : kvs.slice(0, end);
}

function sourceError(error: unknown): unknown {
  if (!(error instanceof EtcdError)) return error;
  return new SourceError(`etcd: ${error.code}: ${error.message}`, { cause: error });
}
