// etcd in memory: one history of revisions, and members that can be broken one by one. It passes
// the contract suite of the real one (`test/contract/etcd.ts`), so what holds of agents on it holds
// of agents on a quorum; the simulator runs on it because nothing here waits for a clock.

import {
  type Etcd,
  EtcdError,
  type KeyValue,
  type RangeRead,
  type RangeRequest,
  type Transaction,
  type TransactionResult,
  type Watch,
  type WatchEvent,
  type WatchFrame,
} from '../../agent/etcd-port.ts';
import { ETCD_RECEIVE_BYTES_MAX, ETCD_REQUEST_BYTES_MAX } from '../../agent/limits.ts';

/** What etcd allows in one transaction (`--max-txn-ops`). */
const OPERATIONS_MAX = 128;
/** Revisions that one frame of a replay carries. */
const REPLAY_REVISIONS = 1_000;

/** What is wrong with a member, as its clients see it. */
export type Ailment =
  | 'none'
  /** Refuses connections. */
  | 'down'
  /** Cut off from the others. */
  | 'leaderless'
  /** Takes what it is sent and never answers; nobody is told. */
  | 'silent';

interface Entry {
  readonly value: string;
  readonly createRevision: bigint;
  readonly modRevision: bigint;
}

export class MemoryEtcd {
  #revision = 1n;
  #term = 2n;
  #compacted = 0n;
  readonly #keys = new Map<string, Entry>();
  readonly #history: { readonly revision: bigint; readonly events: readonly WatchEvent[] }[] = [];
  readonly #ailments: Ailment[];
  readonly #watches = new Set<MemoryWatch>();
  #answersToLose = 0;
  #cutNextAfter = Number.POSITIVE_INFINITY;

  constructor(members = 3) {
    this.#ailments = Array.from({ length: members }, () => 'none' as const);
  }

  get revision(): bigint {
    return this.#revision;
  }

  /** A client that talks to `member` first and to the others when that one does not answer. */
  client(member = 0): Etcd {
    return {
      range: async (request) => {
        this.#route(member, 'unavailable');
        return this.#range(request);
      },
      txn: async (transaction) => {
        this.#route(member, 'ambiguous');
        const result = this.#txn(transaction);
        if (this.#answersToLose === 0) return result;
        this.#answersToLose -= 1;
        throw new EtcdError('ambiguous', 'the answer was lost');
      },
      watch: (prefix, revision) => this.#watch(member, prefix, revision),
      compact: async (revision) => {
        this.#route(member, 'unavailable');
        this.compact(revision);
      },
    };
  }

  ail(member: number, ailment: Ailment): void {
    this.#ailments[member] = ailment;
    for (const watch of this.#watches) {
      if (watch.member !== member) continue;
      if (ailment === 'down') watch.end('UNAVAILABLE: connection dropped');
      if (ailment === 'leaderless') watch.end('UNAVAILABLE: etcdserver: no leader');
      watch.silent = ailment === 'silent';
    }
  }

  /** Resets every connection. */
  cut(): void {
    for (const watch of this.#watches) watch.end('UNAVAILABLE: connection dropped');
  }

  /** The watch that is opened next ends after so many events, as when cut in mid-replay. */
  cutNextWatchAfter(events: number): void {
    this.#cutNextAfter = events;
  }

  loseAnswers(count: number): void {
    this.#answersToLose = count;
  }

  /** All members go and come back with what was durable, which is everything. */
  restart(): void {
    this.cut();
    this.#term += 1n;
  }

  /** One deletion of all that is below it, which clients of the port have no way to ask for. */
  removePrefix(prefix: string): void {
    const gone = [...this.#keys.keys()].filter((key) => key.startsWith(prefix));
    const modRevision = this.#revision + 1n;
    this.#happen(gone.map((key) => ({ kind: 'delete', key, modRevision })));
  }

  /** All members go and come back with an older state, as from a backup. */
  restore(revision: bigint): void {
    this.cut();
    const kept = this.#history.filter((one) => one.revision <= revision);
    this.#history.splice(0, this.#history.length, ...kept);
    this.#revision = revision;
    this.#keys.clear();
    for (const { events } of kept) for (const event of events) apply(this.#keys, event);
  }

  compact(revision: bigint): void {
    if (revision <= this.#compacted) {
      throw new EtcdError('compacted', 'etcdserver: mvcc: required revision has been compacted');
    }
    if (revision > this.#revision) {
      throw new EtcdError(
        'unavailable',
        'etcdserver: mvcc: required revision is a future revision',
      );
    }
    this.#compacted = revision;
  }

  /** Three members decide by two: without them nothing is answered. */
  #route(first: number, lost: 'unavailable' | 'ambiguous'): void {
    const able = this.#ailments.filter((ailment) => ailment === 'none').length;
    const reachable = this.#ailments.some((ailment, i) => {
      return ailment === 'none' && (lost === 'unavailable' || i >= first);
    });
    const quorum = able * 2 > this.#ailments.length;
    if (!quorum || !reachable) throw new EtcdError(lost, 'etcdserver: request timed out');
    if (lost === 'ambiguous' && this.#ailments[first] !== 'none') {
      throw new EtcdError(lost, 'UNAVAILABLE: connection dropped');
    }
  }

  #range({ from, to, limit, revision }: RangeRequest): RangeRead {
    if (revision !== undefined && revision < this.#compacted) {
      throw new EtcdError('compacted', 'etcdserver: mvcc: required revision has been compacted');
    }
    const keys = this.#at(revision ?? this.#revision);
    const found = [...keys]
      .filter(([key]) => key >= from && key < to)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, entry]): KeyValue => ({ key, ...entry }));
    const kvs = found.slice(0, limit);
    const bytes = kvs.reduce((sum, { key, value }) => sum + Buffer.byteLength(key + value), 0);
    if (bytes > ETCD_RECEIVE_BYTES_MAX) {
      throw new EtcdError('too-large', 'Received message larger than max');
    }
    return {
      revision: this.#revision,
      term: this.#term,
      kvs,
      more: found.length > limit,
    };
  }

  #txn({ compare, put, remove }: Transaction): TransactionResult {
    const texts = [
      ...put.map(({ key, value }) => key + value),
      ...compare.map(({ key }) => key),
      ...remove,
    ];
    const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    if (bytes > ETCD_REQUEST_BYTES_MAX) {
      throw new EtcdError('too-large', 'etcdserver: request is too large');
    }
    if (put.length + remove.length > OPERATIONS_MAX || compare.length > OPERATIONS_MAX) {
      throw new EtcdError('refused', 'etcdserver: too many operations in txn request');
    }
    const keys = this.#keys;
    const holds = compare.every(({ key, modRevision }) => {
      return (keys.get(key)?.modRevision ?? 0n) === modRevision;
    });
    if (!holds) return { succeeded: false, revision: this.#revision };
    const revision = this.#revision + 1n;
    const events: WatchEvent[] = put.map(({ key, value }) => {
      const createRevision = keys.get(key)?.createRevision ?? revision;
      return { kind: 'put', key, value, createRevision, modRevision: revision };
    });
    for (const key of remove) {
      if (keys.has(key)) events.push({ kind: 'delete', key, modRevision: revision });
    }
    this.#happen(events);
    return { succeeded: true, revision: this.#revision };
  }

  #happen(events: readonly WatchEvent[]): void {
    if (events.length === 0) return;
    this.#revision += 1n;
    this.#history.push({ revision: this.#revision, events });
    for (const event of events) apply(this.#keys, event);
    for (const watch of this.#watches) watch.wake();
  }

  #watch(first: number, prefix: string, from: bigint): Watch {
    const able = this.#ailments.indexOf('none', first);
    const member = able < 0 ? first : able;
    const watch = new MemoryWatch(member, from, {
      compacted: () => this.#compacted,
      frame: (next) => this.#frame(prefix, next),
      gone: (one) => this.#watches.delete(one),
    });
    watch.endAfter = this.#cutNextAfter;
    this.#cutNextAfter = Number.POSITIVE_INFINITY;
    this.#watches.add(watch);
    this.ail(member, this.#ailments[member] ?? 'none');
    return watch;
  }

  /** The next events of a watch, some revisions at once, and where it goes on. */
  #frame(prefix: string, from: bigint): { events: readonly WatchEvent[]; next: bigint } | null {
    // Revisions are dense and begin with 2, so this is an index.
    const start = Math.max(0, Number(from - 2n));
    const part = this.#history.slice(start, start + REPLAY_REVISIONS);
    const last = part.at(-1);
    if (last === undefined) return null;
    const events = part.flatMap(({ events: all }) =>
      all.filter(({ key }) => key.startsWith(prefix)),
    );
    return { events, next: last.revision + 1n };
  }

  #at(until: bigint): ReadonlyMap<string, Entry> {
    if (until >= this.#revision) return this.#keys;
    const keys = new Map<string, Entry>();
    for (const { revision, events } of this.#history) {
      if (revision > until) break;
      for (const event of events) apply(keys, event);
    }
    return keys;
  }
}

function apply(keys: Map<string, Entry>, event: WatchEvent): void {
  if (event.kind === 'delete') keys.delete(event.key);
  else {
    const { value, createRevision, modRevision } = event;
    keys.set(event.key, { value, createRevision, modRevision });
  }
}

interface History {
  compacted(): bigint;
  frame(next: bigint): { events: readonly WatchEvent[]; next: bigint } | null;
  gone(watch: MemoryWatch): void;
}

class MemoryWatch implements Watch {
  readonly member: number;
  silent = false;
  endAfter = Number.POSITIVE_INFINITY;
  readonly #history: History;
  #next: bigint;
  #last: WatchFrame | null = null;
  #news = Promise.withResolvers<void>();

  constructor(member: number, from: bigint, history: History) {
    this.member = member;
    this.#next = from;
    this.#history = history;
  }

  async next(): Promise<WatchFrame> {
    for (;;) {
      if (this.#last !== null) return this.#last;
      const frame = this.silent ? null : this.#take();
      if (frame !== null) return frame;
      await this.#news.promise;
      this.#news = Promise.withResolvers();
    }
  }

  wake(): void {
    this.#news.resolve();
  }

  end(reason: string): void {
    this.#finish({ kind: 'ended', reason });
  }

  close(): void {
    this.end('closed');
  }

  #finish(frame: WatchFrame): void {
    this.#last ??= frame;
    this.#history.gone(this);
    this.#news.resolve();
  }

  #take(): WatchFrame | null {
    if (this.#next < this.#history.compacted()) {
      this.#finish({ kind: 'compacted', revision: this.#history.compacted() });
      return this.#last;
    }
    const found = this.#history.frame(this.#next);
    if (found === null) return null;
    if (found.events.length <= this.endAfter) {
      this.endAfter -= found.events.length;
      this.#next = found.next;
      return found.events.length === 0
        ? null
        : { kind: 'events', events: found.events, more: false };
    }
    // The connection breaks inside the frame: whole revisions before it were received.
    const before = found.events[this.endAfter]?.modRevision ?? 0n;
    const whole = found.events.filter(({ modRevision }) => modRevision < before);
    this.endAfter = 0;
    this.end('UNAVAILABLE: connection dropped');
    return whole.length === 0 ? this.#last : { kind: 'events', events: whole, more: false };
  }
}
