// How many reads of one source an isolate has under way. Requests that find no slot free look again
// a moment later, at the view first: who was before them may have brought what they need. So a herd
// of cold requests costs a source some reads and not one each, and nobody awaits another request's
// promise, which the runtime forbids (E3).
//
// A slot lapses. A read whose request has ended is cancelled by the runtime and never says so, so a
// mere counter would fill up for good.

import { READS_PER_SOURCE_MAX, STORE_READ_TIMEOUT_MS } from '../../shared/limits.ts';

export class ReadSlots {
  /** When each read that is under way lapses, ms, by source. */
  readonly #lapses = new Map<string, Set<{ readonly atMs: number }>>();

  /** Takes a slot and returns how to give it back; null when none is free. */
  take(source: string, nowMs: number): (() => void) | null {
    const held = this.#lapses.get(source) ?? new Set();
    this.#lapses.set(source, held);
    for (const slot of held) if (slot.atMs <= nowMs) held.delete(slot);
    if (held.size >= READS_PER_SOURCE_MAX) return null;
    const slot = { atMs: nowMs + STORE_READ_TIMEOUT_MS };
    held.add(slot);
    return () => void held.delete(slot);
  }
}
