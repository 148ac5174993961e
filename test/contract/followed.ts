// A prefix followed through `Tail`, and what it was told held against what is there.

import { expect } from 'vitest';
import { Tail, type Tiding } from '../../agent/control/tail.ts';
import { type Etcd, endOf, type KeyValue, type WatchEvent } from '../../agent/etcd-port.ts';
import { pause, until } from '../world/wait.ts';
import type { EtcdRig } from './etcd.ts';

export const PATIENT = { deadlineMs: 30_000 };

/** What a tail told, folded as an agent would. */
export class Followed {
  readonly revisions: Extract<Tiding, { kind: 'revision' }>[] = [];
  readonly troubles: string[] = [];
  from: bigint | null = null;
  lost = false;
  readonly #tail: Tail;
  readonly #running: Promise<void>;

  constructor({ etcd, prefix }: EtcdRig, since: bigint | null) {
    this.#tail = new Tail(prefix, since, {
      etcd,
      pause,
      tell: (tiding) => this.#take(tiding),
      trouble: (reason) => this.troubles.push(reason),
    });
    this.#running = this.#tail.run();
  }

  renew(): void {
    this.#tail.renew();
  }

  async close(): Promise<void> {
    this.#tail.close();
    await this.#running;
  }

  /** Told exactly what happened behind its start, and no more. */
  async expectLevel({ calm, prefix }: EtcdRig): Promise<void> {
    const kvs = await dumpOf(calm, prefix);
    const newest = kvs.reduce((most, { modRevision }) => maxOf(most, modRevision), 0n);
    await until('the tail is level', async () => (this.#tail.revision ?? 0n) >= newest, PATIENT);
    const told = this.revisions.map(({ revision }) => revision);
    expect(told).toEqual([...new Set(told)].sort((a, b) => (a < b ? -1 : 1)));
    for (const { revision, events } of this.revisions) {
      expect(events.every(({ modRevision }) => modRevision === revision)).toBe(true);
    }
    // What was told last of a key is what is there; what is there and was not told is older.
    const last = new Map<string, WatchEvent>();
    for (const { events } of this.revisions) for (const event of events) last.set(event.key, event);
    const present = new Map(kvs.map((kv) => [kv.key, kv]));
    for (const [key, { kind: _kind, ...event }] of last) {
      if ('value' in event) expect(event).toEqual(present.get(key));
      else expect(present.has(key)).toBe(false);
    }
    const start = this.from ?? 0n;
    for (const { key, modRevision } of kvs) {
      if (modRevision > start && told.length > 0 && modRevision >= (told[0] ?? 0n)) {
        expect(last.has(key)).toBe(true);
      }
    }
  }

  #take(tiding: Tiding): void {
    if (tiding.kind === 'revision') this.revisions.push(tiding);
    else {
      this.from = tiding.revision;
      this.lost = tiding.lost;
    }
  }
}

export async function dumpOf(etcd: Etcd, prefix: string, limit = 64) {
  const kvs: KeyValue[] = [];
  for (let from = prefix; ; ) {
    const page = await etcd.range({ from, to: endOf(prefix), limit });
    // A page that begins where the one before did would have no end.
    if (kvs.some(({ key }) => key === page.kvs[0]?.key)) throw new Error('read twice');
    kvs.push(...page.kvs);
    if (!page.more) return kvs;
    from = `${page.kvs.at(-1)?.key}\0`;
  }
}

function maxOf(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
