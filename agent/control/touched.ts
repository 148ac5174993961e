// Keys that somebody wrote and that were not yet held against the fold. Bounded in number and in
// size, whoever writes: a long value is read again when it is judged, and what a flood pushes out
// is found by the sweep, deletions too.

import type { WatchEvent } from '../etcd-port.ts';
import { TOUCHED_KEYS_MAX, TOUCHED_VALUE_CHARS_MAX } from '../limits.ts';
import type { Found } from './repair.ts';

/** Without a value: it is too long to be kept. */
export type Mention = Omit<Found, 'value'> & Partial<Pick<Found, 'value'>>;

export class Touched {
  readonly #keys = new Map<string, Mention>();

  note(events: readonly WatchEvent[]): void {
    for (const event of events) this.add({ value: null, ...event });
  }

  /** The newest word about a key counts. */
  add({ key, modRevision, value }: Mention): void {
    const held = this.#keys.get(key);
    if (held !== undefined && held.modRevision > modRevision) return;
    this.#keys.delete(key);
    const isKept = value === null || (value?.length ?? Infinity) <= TOUCHED_VALUE_CHARS_MAX;
    this.#keys.set(key, { key, modRevision, ...(isKept ? { value } : {}) });
    for (const oldest of this.#keys.keys()) {
      if (this.#keys.size <= TOUCHED_KEYS_MAX) break;
      this.#keys.delete(oldest);
    }
  }

  /** It is judged otherwise. */
  forget(key: string): void {
    this.#keys.delete(key);
  }

  /** Takes out what was written up to `revision`, the oldest first, `most` of them. */
  take(revision: bigint, most: number): readonly Mention[] {
    const taken: Mention[] = [];
    for (const mention of this.#keys.values()) {
      if (taken.length >= most) break;
      if (mention.modRevision <= revision) taken.push(mention);
    }
    for (const { key } of taken) this.#keys.delete(key);
    return taken;
  }
}
