// Keys that somebody wrote and that were not yet held against the fold. Bounded: what a flood
// pushes out is found by the sweep.

import { TOUCHED_KEYS_MAX } from '../../shared/limits.ts';
import type { WatchEvent } from '../etcd-port.ts';
import type { Found } from './repair.ts';

export class Touched {
  readonly #keys = new Map<string, Found>();

  get size(): number {
    return this.#keys.size;
  }

  note(events: readonly WatchEvent[]): void {
    for (const event of events) {
      const { key, modRevision } = event;
      this.add({ key, modRevision, value: event.kind === 'put' ? event.value : null });
    }
  }

  /** The newest word about a key counts. */
  add(found: Found): void {
    const held = this.#keys.get(found.key);
    if (held !== undefined && held.modRevision > found.modRevision) return;
    this.#keys.delete(found.key);
    this.#keys.set(found.key, found);
    for (const oldest of this.#keys.keys()) {
      if (this.#keys.size <= TOUCHED_KEYS_MAX) break;
      this.#keys.delete(oldest);
    }
  }

  /** Takes out what was written up to `revision`, the oldest first, `most` of them. */
  take(revision: bigint, most: number): readonly Found[] {
    const taken: Found[] = [];
    for (const found of this.#keys.values()) {
      if (taken.length >= most) break;
      if (found.modRevision <= revision) taken.push(found);
    }
    for (const { key } of taken) this.#keys.delete(key);
    return taken;
  }
}
