// What this agent is bound to: the version it attested last, and the place an operator's join
// named. Every commit is held against them as it is admitted, however far back they lie, and a
// contradiction stays: an agent that once saw two histories attests neither until a person has
// looked (C10, I2).
//
// An agent that remembers nothing, or whose source no longer shows what happened since, is bound to
// nothing that protects it: it waits until a threshold of other sites attests the chain it holds.
// Once is enough: with the word that it keeps then it is bound again. Waiting for them at every
// word would make a silence that all agents share one without an end.

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
  #own: Kept | null;
  #join: Oath | null;
  /** What this agent may speak on: its memory, an operator's word, or that of other sites. */
  #standsOn: 'memory' | 'join' | 'others';
  #contradiction: Refusal | null = null;
  #joinContradiction: Refusal | null = null;

  /** `kept` is null for a new agent. A join that is older than what was kept says nothing. */
  constructor(kept: Kept | null, join: Join | null) {
    this.#own = kept;
    this.#join = join !== null && join.version >= (kept?.version ?? 0n) ? join : null;
    this.#standsOn = kept === null ? this.#withoutMemory() : 'memory';
  }

  /** Takes note of a commit that was admitted. */
  see(link: Link): void {
    this.#contradiction ??= contradiction(this.#own, link);
    this.#joinContradiction ??= contradiction(this.#join, link);
  }

  /** The source cannot show all that happened up to revision `upTo`. A word kept later stands. */
  lose(upTo: bigint): void {
    const kept = this.#own?.revision ?? 0n;
    if (this.#standsOn === 'memory' && kept < upTo) this.#standsOn = this.#withoutMemory();
  }

  /** What was kept for a word: from here on it binds, and a join from before it says nothing. */
  keep(kept: Kept): void {
    this.#own = kept;
    this.#standsOn = 'memory';
    if (this.#join !== null && this.#join.version < kept.version) this.#join = null;
  }

  /**
   * Why nothing may be attested at `head`: a contradiction was seen, what was sworn to is not
   * reached, or nobody vouches for the chain. `others` is what other sites attest of it. Refusals:
   * equivocation, rollback, not-attested.
   */
  fault(head: { readonly version: bigint }, others: Link | null): Refusal | null {
    const own = this.#contradiction ?? ahead(this.#own, head);
    if (own !== null) return own;
    if (this.#standsOn === 'join') return this.#joinContradiction ?? ahead(this.#join, head);
    if (this.#standsOn === 'memory') return null;
    if (others === null || others.version < (this.#own?.version ?? 0n)) {
      return refuse('not-attested', 'no threshold of other sites attests this chain yet');
    }
    this.#standsOn = 'memory';
    return null;
  }

  #withoutMemory(): 'join' | 'others' {
    return this.#join === null ? 'others' : 'join';
  }
}

function contradiction(oath: Oath | null, { generation, version, digest }: Link): Refusal | null {
  if (oath === null || oath.generation !== generation || oath.version !== version) return null;
  if (oath.envelope === digest) return null;
  return refuse('equivocation', `commit ${version} is not the one sworn to`);
}

/** Attack: a source put back to an older state, so that agents undo what they attested. */
function ahead(oath: Oath | null, head: { readonly version: bigint }): Refusal | null {
  if (oath === null || oath.version <= head.version) return null;
  return refuse('rollback', `${head.version} is held, ${oath.version} was sworn to`);
}
