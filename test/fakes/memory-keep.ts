// A keep in memory that outlives the agents that use it, as a disk does. It passes the contract
// suite of the keep (`test/contract/keep.ts`), and can stop, fail or hang where a disk would.

import type { Keep, Kept } from '../../agent/ports.ts';

/** What the next save does instead of saving and resolving. */
export type Mishap =
  /** Nothing is written, and it rejects. */
  | 'rejects'
  /** The loss of power comes before the write, or after it: in both cases nobody is told. */
  | 'dies-before'
  | 'dies-after'
  /** Written, and then it rejects: the folder could not be synced, say. */
  | 'rejects-after';

export class MemoryKeep implements Keep {
  mishap: Mishap | null = null;
  /** Why it cannot be read; null when it can. */
  broken: string | null = null;
  /** Everything that was ever saved, oldest first. */
  readonly saved: Kept[] = [];
  #kept: Kept | null;

  constructor(kept: Kept | null = null) {
    this.#kept = kept;
  }

  get kept(): Kept | null {
    return this.#kept;
  }

  /** The disk is lost. */
  forget(): void {
    this.#kept = null;
  }

  async load(): Promise<Kept | null> {
    if (this.broken !== null) throw new Error(this.broken);
    return this.#kept;
  }

  async save(kept: Kept): Promise<void> {
    const { mishap } = this;
    this.mishap = null;
    if (mishap === 'rejects') throw new Error('no space left');
    if (mishap === 'dies-before') return new Promise(() => {});
    this.#kept = { ...kept };
    this.saved.push(this.#kept);
    if (mishap === 'dies-after') return new Promise(() => {});
    if (mishap === 'rejects-after') throw new Error('the folder was not synced');
  }
}
