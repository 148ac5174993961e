// A prefix followed through `Tail` and folded, as agents follow it, with a note of everything that
// a follower must never be told: a revision twice, out of order, or one that nobody made.

import { Tail, type Tiding } from '../../../agent/control/tail.ts';
import { type Etcd, EtcdError } from '../../../agent/etcd-port.ts';
import { WATCH_LAG_MS } from '../../../agent/limits.ts';
import { pause } from '../../world/wait.ts';
import { type Changes, dumpAt } from './history.ts';

export class Follower {
  state = new Map<string, string>();
  readonly told: bigint[] = [];
  doubled = 0;
  reordered = 0;
  /** Revisions told with other changes than were made. */
  altered = 0;
  /** Starts behind a compaction: the keys were read again. */
  restarts = 0;
  troubles = 0;
  readonly #etcd: Etcd;
  readonly #prefix: string;
  readonly #tail: Tail;
  readonly #running: Promise<void>;
  /** Between these revisions nothing was told, for it was compacted. */
  readonly #gaps: { readonly after: bigint; readonly until: bigint }[] = [];
  #reading: Promise<void> = Promise.resolve();
  #failure: unknown = null;

  constructor(etcd: Etcd, prefix: string, since: bigint) {
    this.#etcd = etcd;
    this.#prefix = prefix;
    this.#tail = new Tail(prefix, since, {
      etcd,
      pause,
      tell: (tiding) => this.#take(tiding),
      trouble: () => {
        this.troubles += 1;
      },
    });
    this.#running = this.#tail.run();
  }

  /** Resolves when everything up to `newest` is folded. */
  async level(newest: bigint): Promise<void> {
    let waitedMs = 0;
    const ended = new AbortController().signal;
    while ((this.#tail.revision ?? 0n) < newest) {
      await pause(5, ended);
      waitedMs += 5;
      // What agents do when a read knows of a write that the stream has not told.
      if (waitedMs % WATCH_LAG_MS === 0) this.#tail.renew();
    }
    await this.#reading;
    if (this.#failure !== null) throw this.#failure;
  }

  /** Revisions of `history` that were not told and not behind a compaction. */
  missing(history: ReadonlyMap<bigint, Changes>, since: bigint): number {
    const told = new Set(this.told);
    return [...history.keys()].filter((revision) => {
      const excused = this.#gaps.some(({ after, until }) => revision > after && revision <= until);
      return revision > since && !told.has(revision) && !excused;
    }).length;
  }

  /** Revisions told that were not made, or not so. */
  check(history: ReadonlyMap<bigint, Changes>): void {
    for (const [revision, changes] of this.#seen) {
      const made = history.get(revision);
      const same =
        made !== undefined &&
        made.size === changes.size &&
        [...changes].every(([key, value]) => made.get(key) === value);
      if (!same) this.altered += 1;
      this.#seen.delete(revision);
    }
  }

  async close(): Promise<void> {
    this.#tail.close();
    await this.#running;
  }

  readonly #seen = new Map<bigint, Changes>();

  #take(tiding: Tiding): void {
    if (tiding.kind === 'from') {
      this.restarts += 1;
      const after = this.told.at(-1) ?? 0n;
      this.#gaps.push({ after, until: tiding.revision });
      this.#reading = this.#reading.then(() => this.#readAgain(tiding.revision));
      return;
    }
    const { revision, events } = tiding;
    const last = this.told.at(-1) ?? 0n;
    if (revision === last) this.doubled += 1;
    if (revision < last) this.reordered += 1;
    this.told.push(revision);
    const changes = events.map((event) => {
      return [event.key, event.kind === 'put' ? event.value : null] as const;
    });
    this.#seen.set(revision, new Map(changes));
    this.#reading = this.#reading.then(() => {
      for (const [key, value] of changes) {
        if (value === null) this.state.delete(key);
        else this.state.set(key, value);
      }
    });
  }

  async #readAgain(revision: bigint): Promise<void> {
    for (;;) {
      try {
        this.state = new Map(await dumpAt(this.#etcd, this.#prefix, revision));
        return;
      } catch (error) {
        if (error instanceof EtcdError && error.code === 'unavailable') continue;
        // Compacted again meanwhile: the tail will say so and this is read once more.
        if (!(error instanceof EtcdError)) this.#failure = error;
        return;
      }
    }
  }
}
