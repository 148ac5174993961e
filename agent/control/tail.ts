// Following one prefix of etcd: every revision once, in order and whole, whatever the connection
// does. A watch may be cut in the middle of a replay, end without a word, go silent or be told that
// its start is compacted; what it said last is where the next one begins.
//
// Rejected: the header's revision as the place to go on. It is the store's and not the stream's, so
// whoever takes it skips what was still to be replayed.

import { type Etcd, EtcdError, endOf, type Watch, type WatchEvent } from '../etcd-port.ts';
import { WATCH_RETRY_MS } from '../limits.ts';

export type Tiding =
  /**
   * What happened up to `revision` was not seen: nobody asked for it, or (`lost`) it is compacted.
   * Whoever needs it reads the keys, as of `revision` or later.
   */
  | { readonly kind: 'from'; readonly revision: bigint; readonly lost: boolean }
  | {
      readonly kind: 'revision';
      readonly revision: bigint;
      readonly events: readonly WatchEvent[];
    };

export interface TailPorts {
  readonly etcd: Etcd;
  /** Resolves after `ms`, or when `ended` is. */
  readonly pause: (ms: number, ended: AbortSignal) => Promise<void>;
  /** Takes note and returns; work is done elsewhere. */
  readonly tell: (tiding: Tiding) => void;
  /** Why a watch ended; for the log. */
  readonly trouble: (reason: string) => void;
}

export class Tail {
  readonly #prefix: string;
  readonly #ports: TailPorts;
  /** The next revision to be told; null when that has to be asked for. */
  #next: bigint | null;
  /** Events of a revision whose end was not seen yet. */
  #pending: WatchEvent[] = [];
  /** The keys of the last of them: a deletion may be of all there are. */
  readonly #lastKeys = new Set<string>();
  #watch: Watch | null = null;
  readonly #ended = new AbortController();
  #retryMs: number = WATCH_RETRY_MS.first;

  /** Begins behind `since`, the last revision that was seen before, or now when it is null. */
  constructor(prefix: string, since: bigint | null, ports: TailPorts) {
    this.#prefix = prefix;
    this.#next = since === null ? null : since + 1n;
    this.#ports = ports;
  }

  /** Everything up to here was told; null before the first. */
  get revision(): bigint | null {
    return this.#next === null ? null : this.#next - 1n;
  }

  /** Resolves when it is closed. Never rejects. */
  async run(): Promise<void> {
    let lost = false;
    while (!this.#isClosed) {
      const wasLost = lost;
      try {
        this.#next ??= await this.#now(lost);
        lost = (await this.#follow(this.#next)) === 'compacted';
        if (lost) this.#next = null;
        // At once, for nobody may rely on what is lost; but not again and again.
        if (lost && !wasLost) continue;
      } catch (error) {
        if (!(error instanceof EtcdError)) throw error;
        this.#ports.trouble(`${error.code}: ${error.message}`);
      }
      if (this.#isClosed) continue;
      await this.#ports.pause(this.#retryMs, this.#ended.signal);
      this.#retryMs = Math.min(this.#retryMs * 2, WATCH_RETRY_MS.most);
    }
  }

  /** Takes the present stream down, because somebody knows of a write that it did not tell. */
  renew(): void {
    this.#watch?.close();
  }

  close(): void {
    this.#ended.abort();
    this.#watch?.close();
  }

  get #isClosed(): boolean {
    return this.#ended.signal.aborted;
  }

  async #now(lost: boolean): Promise<bigint> {
    const range = { from: this.#prefix, to: endOf(this.#prefix), limit: 1 };
    const { revision } = await this.#ports.etcd.range(range);
    this.#ports.tell({ kind: 'from', revision, lost });
    return revision + 1n;
  }

  async #follow(from: bigint): Promise<'ended' | 'compacted'> {
    this.#pending = [];
    const watch = this.#ports.etcd.watch(this.#prefix, from);
    this.#watch = watch;
    try {
      for (;;) {
        const frame = await watch.next();
        switch (frame.kind) {
          case 'alive':
            break;
          case 'compacted':
            this.#ports.trouble(`compacted up to ${frame.revision}`);
            return 'compacted';
          case 'ended':
            if (!this.#isClosed) this.#ports.trouble(frame.reason);
            return 'ended';
          case 'events':
            if (this.#take(frame.events, frame.more)) break;
            this.#ports.trouble('events out of order');
            return 'ended';
        }
        this.#retryMs = WATCH_RETRY_MS.first;
      }
    } finally {
      watch.close();
      this.#watch = null;
    }
  }

  /**
   * Tells every whole revision; the last one is whole unless a fragment is to follow. False when
   * their order is wrong: what is behind them cannot be told any more.
   */
  #take(events: readonly WatchEvent[], more: boolean): boolean {
    for (const event of events) {
      // Attack, or a server's known defect: events from before the start.
      if (event.modRevision < (this.#next ?? 0n)) continue;
      if (!this.#hold(event)) return false;
    }
    const last = this.#pending.at(-1)?.modRevision;
    const goesOn = more && last !== undefined;
    const revisions = Map.groupBy(this.#pending, ({ modRevision }) => modRevision);
    this.#pending = goesOn ? (revisions.get(last) ?? []) : [];
    for (const [revision, whole] of revisions) {
      if (goesOn && revision === last) break;
      this.#next = revision + 1n;
      this.#ports.tell({ kind: 'revision', revision, events: whole });
    }
    return true;
  }

  /** A revision touches each key once: what is told twice counts once. False: out of order. */
  #hold(event: WatchEvent): boolean {
    const last = this.#pending.at(-1)?.modRevision;
    if (last !== undefined && event.modRevision < last) return false;
    if (event.modRevision !== last) this.#lastKeys.clear();
    if (this.#lastKeys.has(event.key)) return true;
    this.#lastKeys.add(event.key);
    this.#pending.push(event);
    return true;
  }
}
