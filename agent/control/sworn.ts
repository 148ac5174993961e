// What this agent is bound to: the version it attested last, and the place an operator's join
// named. Every commit is held against them as it is admitted, however far back they lie, and a
// contradiction stays: an agent that once saw two histories attests neither until a person has
// looked (C10, I2).

import type { Link } from '../../shared/control/chain.ts';
import type { Join } from '../../shared/control/join.ts';
import { type Refusal, refuse } from '../../shared/control/refusal.ts';
import type { Digest } from '../../shared/digest.ts';
import type { Kept } from '../ports.ts';

interface Oath {
  readonly generation: bigint;
  readonly version: bigint;
  readonly envelope: Digest | null;
}

export class Sworn {
  readonly #oaths: readonly Oath[];
  #contradiction: Refusal | null = null;

  constructor(kept: Kept, join: Join | null) {
    this.#oaths = join === null ? [kept] : [kept, join];
  }

  /** Takes note of a commit that was admitted. */
  see({ generation, version, digest }: Link): void {
    for (const oath of this.#oaths) {
      if (oath.generation !== generation || oath.version !== version) continue;
      if (oath.envelope === digest) continue;
      this.#contradiction = refuse('equivocation', `commit ${version} is not the one sworn to`);
    }
  }

  /**
   * Why nothing may be attested at `head`: a contradiction was seen, or what was sworn to is not
   * reached. Refusals: equivocation, rollback.
   */
  fault(head: { readonly version: bigint }): Refusal | null {
    if (this.#contradiction !== null) return this.#contradiction;
    const ahead = this.#oaths.find(({ version }) => version > head.version);
    if (ahead === undefined) return null;
    // Attack: a source put back to an older state, so that agents undo what they attested.
    return refuse('rollback', `${head.version} is held, ${ahead.version} was sworn to`);
  }
}
