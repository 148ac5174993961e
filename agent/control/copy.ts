// A copy of the commits and trust documents on the agent's own disk, so that a restart needs
// neither the quorum nor a peer (E6), and so that peers may be answered beyond the chain. It is
// read once, at the start, and believed no more than any other source: what was kept is the oath
// that it is held against. It is written behind what is folded, never before.

import { newest } from '../../shared/control/chain.ts';
import type { Holder } from '../../shared/control/holder.ts';
import { type Trust, trustAt } from '../../shared/control/trust.ts';
import { CHAIN_LINKS_MAX } from '../../shared/limits.ts';
import { COMMITS_PER_READ_MAX, COPIES_PER_TURN_MAX } from '../limits.ts';
import type { CommitSource } from '../ports.ts';

export class Copy {
  readonly #disk: CommitSource;
  /** The newest version on disk. */
  #written: bigint;
  /** Trust documents that are there; older ones may be found later. */
  readonly #trusts = new Set<bigint>();

  constructor(disk: CommitSource, written: bigint) {
    this.#disk = disk;
    this.#written = written;
  }

  /**
   * Brings the disk nearer to `holder`: trust first, since commits are judged by it. A crash leaves
   * a prefix: behind a hole nothing is read. Rejects when the disk cannot be written.
   */
  async follow({ chain, trust }: Holder): Promise<void> {
    await this.#followTrust(trust);
    const first = chain[0]?.version ?? 1n;
    // What has left the chain cannot be copied any more: a copy that fell behind stays as it is.
    if (this.#written + 1n < first) return;
    const from = Number(this.#written + 1n - first);
    const links = chain.slice(from, from + COPIES_PER_TURN_MAX);
    // Together, since each waits for the disk to sync.
    await Promise.all(links.map(({ version, jws }) => this.#disk.append(version, jws)));
    this.#written = links.at(-1)?.version ?? this.#written;
  }

  /** Before more is taken in: what could leave the chain with it is written first. */
  async keepUp(holder: Holder): Promise<void> {
    const head = newest(holder.chain)?.version ?? 0n;
    if (head - this.#written + BigInt(COMMITS_PER_READ_MAX) <= BigInt(CHAIN_LINKS_MAX)) return;
    for (let before = -1n; before !== this.#written && this.#written < head; ) {
      before = this.#written;
      await this.follow(holder);
    }
  }

  async #followTrust({ held }: Trust): Promise<void> {
    for (const [version, { jws }] of held) {
      if (this.#trusts.has(version)) continue;
      await this.#disk.writeTrust(version, jws);
      this.#trusts.add(version);
    }
  }
}

/** What a start reads of a copy. That it has less of trust than is held is no rollback (C5). */
export function copiedBefore(
  copy: Pick<CommitSource, 'read' | 'trust'>,
  held: Trust,
): Pick<CommitSource, 'read' | 'trust'> {
  return {
    read: (from) => copy.read(from),
    trust: async (version) => trustAt(held, version)?.jws ?? copy.trust(version),
  };
}
