// A copy of the commits on the agent's own disk, so that a restart needs neither the quorum nor a
// peer (E6). It is read once, at the start, and believed no more than any other source: what was
// kept is the oath that it is held against. It is written behind what is folded, never before.

import { newest } from '../../shared/control/chain.ts';
import type { Holder } from '../../shared/control/holder.ts';
import { COPIES_PER_TURN_MAX } from '../../shared/limits.ts';
import type { CommitSource } from '../ports.ts';

export class Copy {
  readonly #disk: CommitSource;
  /** The newest version on disk; null until that is known. */
  #written: bigint;

  constructor(disk: CommitSource, written: bigint) {
    this.#disk = disk;
    this.#written = written;
  }

  /**
   * Brings the disk nearer to `holder`. A crash leaves a prefix, which is what a copy is. Rejects
   * when the disk cannot be written.
   */
  async follow({ chain }: Holder): Promise<void> {
    const head = newest(chain)?.version ?? 0n;
    const first = chain[0]?.version ?? 1n;
    // Behind a hole nothing is ever read: a copy that fell too far behind stays as it is.
    if (this.#written + 1n < first) return;
    let left = COPIES_PER_TURN_MAX;
    while (this.#written < head && left > 0) {
      const link = chain[Number(this.#written + 1n - first)];
      if (link === undefined) return;
      await this.#disk.append(link.version, link.jws);
      this.#written = link.version;
      left -= 1;
    }
  }
}
