// What really happened to a prefix of etcd: every revision that one writer made, known to it by the
// answers, or, where an answer was lost, by the mark that each transaction leaves.

import { type Etcd, EtcdError, endOf } from '../../../agent/etcd-port.ts';
import type { Random } from '../../world/random.ts';

/** Key -> value, or null where it was deleted. */
export type Changes = ReadonlyMap<string, string | null>;

const KEYS = 40;
const KEYS_AT_ONCE = 20;
const VALUE_CHARS = 20_000;

export class Writer {
  /** By revision, in order. */
  readonly history = new Map<bigint, Changes>();
  readonly #etcd: Etcd;
  readonly #prefix: string;
  readonly #random: Random;
  readonly #present = new Set<string>();
  #written = 0;

  constructor(etcd: Etcd, prefix: string, random: Random) {
    this.#etcd = etcd;
    this.#prefix = prefix;
    this.#random = random;
  }

  get newest(): bigint {
    return [...this.history.keys()].at(-1) ?? 0n;
  }

  /** One transaction of a few keys; its revision. Resolves when it is known to be in. */
  async write(): Promise<bigint> {
    const mark = `${this.#prefix}mark`;
    const text = `${++this.#written}`;
    const changes = new Map<string, string | null>([[mark, text]]);
    for (let n = this.#random.below(KEYS_AT_ONCE); n >= 0; n--) {
      const key = `${this.#prefix}key/${this.#random.below(KEYS)}`;
      const gone = this.#present.has(key) && this.#random.below(4) === 0;
      const value = gone ? null : 'v'.repeat(this.#random.below(VALUE_CHARS)) + text;
      if (!changes.has(key)) changes.set(key, value);
    }
    const revision = await this.#land(changes, mark, text);
    for (const [key, value] of changes) {
      if (value === null) this.#present.delete(key);
      else this.#present.add(key);
    }
    this.history.set(revision, changes);
    return revision;
  }

  async #land(changes: Changes, mark: string, text: string): Promise<bigint> {
    const put = [...changes].flatMap(([key, value]) => (value === null ? [] : [{ key, value }]));
    const remove = [...changes].flatMap(([key, value]) => (value === null ? [key] : []));
    for (;;) {
      try {
        // Once only: it compares the mark that it writes.
        const before = await this.#mark(mark);
        if (before?.value === text) return before.modRevision;
        const compare = [{ key: mark, modRevision: before?.modRevision ?? 0n }];
        const done = await this.#etcd.txn({ compare, put, remove });
        if (done.succeeded) return done.revision;
      } catch (error) {
        if (!(error instanceof EtcdError)) throw error;
      }
    }
  }

  async #mark(mark: string) {
    const { kvs } = await this.#etcd.range({ from: mark, to: `${mark}\0`, limit: 1 });
    return kvs[0];
  }
}

/** The keys under a prefix as they are, and as of which revision. */
export async function dumpAt(
  etcd: Etcd,
  prefix: string,
  revision: bigint,
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (let from = prefix; ; ) {
    const page = await etcd.range({ from, to: endOf(prefix), limit: 64, revision });
    for (const { key, value } of page.kvs) found.set(key, value);
    if (!page.more) return found;
    from = `${page.kvs.at(-1)?.key}\0`;
  }
}
