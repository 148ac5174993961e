// What an agent must not forget, in memory and on disk (C10). One save at a time, each
// on top of the one before: an older one must not land last.

import { type Place, placeOf } from '../../shared/control/answer.ts';
import { compareVersions, type Link } from '../../shared/control/chain.ts';
import { type Refusal, refuse } from '../../shared/control/refusal.ts';
import { type Trust, trustAt } from '../../shared/control/trust.ts';
import type { Keep, Kept } from '../ports.ts';

export class Memory {
  readonly #keep: Keep;
  #kept: Kept;
  #saving: Promise<void> = Promise.resolve();

  constructor(kept: Kept, keep: Keep) {
    this.#kept = kept;
    this.#keep = keep;
  }

  get kept(): Kept {
    return this.#kept;
  }

  /**
   * Resolves when it will survive a loss of power; rejects, and changes nothing, when it was not.
   */
  async save(change: Partial<Kept>): Promise<void> {
    const saved = this.#saving.then(async () => {
      const trust = later(this.#kept.trust, change.trust);
      const next = { ...this.#kept, ...change, ...(trust === undefined ? {} : { trust }) };
      await this.#keep.save(next);
      this.#kept = next;
    });
    this.#saving = saved.catch(() => {});
    await saved;
  }

  /**
   * What became active outlives a restart (I2). Before its first word an agent keeps nothing: what
   * is kept would stand for its join.
   */
  async saveActive(active: Link | null): Promise<void> {
    if (active === null || this.#kept.version === 0n || !this.#isAbove(active)) return;
    await this.save({ active: placeOf(active) });
  }

  /**
   * The trust that is judged by outlives a restart too (C5). Before the first word nothing is kept;
   * the first document is the pin's.
   */
  async saveTrust({ document, digest }: Trust): Promise<void> {
    const { version } = document;
    const kept = this.#kept.trust?.version ?? 1n;
    if (this.#kept.version === 0n || version <= kept) return;
    await this.save({ trust: { version, digest } });
  }

  /**
   * Why nothing may be judged by `trust`: a newer one, or another of that version, was adopted
   * before a restart. Refusals: rollback, trust-fork.
   */
  trustFault(trust: Trust): Refusal | null {
    const { trust: kept } = this.#kept;
    const { version } = trust.document;
    if (kept === undefined) return null;
    if (version < kept.version) {
      return refuse('rollback', `trust ${version} is held, ${kept.version} was adopted`);
    }
    const same = trustAt(trust, kept.version);
    if (same === null || same.digest === kept.digest) return null;
    return refuse('trust-fork', `another trust ${kept.version} was adopted: ${kept.digest}`);
  }

  /** Words from before a restart may still be valid; they bring nothing back. */
  allows(active: Place): boolean {
    const { active: floor } = this.#kept;
    return floor === undefined || compareVersions(active, floor) >= 0;
  }

  #isAbove(active: Place): boolean {
    const { active: floor } = this.#kept;
    return floor === undefined || compareVersions(active, floor) > 0;
  }
}

/** Two may be adopted at once, and the older saved last. */
function later(held: Kept['trust'], next: Kept['trust']): Kept['trust'] {
  return held !== undefined && (next === undefined || next.version < held.version) ? held : next;
}
