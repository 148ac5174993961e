// What an agent does for its source besides reading it: puts right what was changed beside the
// commits, lets go of history that nobody resumes from, keeps a copy on its own disk; and, when the
// source cannot be read, follows what other sites attest from whichever peer has it.

import { refuse } from '../../shared/control/refusal.ts';
import { COMPACTION_INTERVAL_MS } from '../limits.ts';
import type { AgentPorts, CommitSource } from '../ports.ts';
import { CatchUp } from './catch-up.ts';
import { compactable } from './compaction.ts';
import { Copy, copiedBefore } from './copy.ts';
import { type Followed, follow } from './follow.ts';
import type { Hold } from './hold.ts';
import type { Receipts } from './receipts.ts';

export class Care {
  readonly #hold: Hold;
  readonly #ports: AgentPorts;
  readonly #catchUp: CatchUp;
  #copy: Copy | null = null;
  #compactedAtMs = 0;

  constructor(site: string, hold: Hold, ports: AgentPorts) {
    this.#catchUp = new CatchUp(site, ports);
    this.#hold = hold;
    this.#ports = ports;
  }

  /** Folds the own copy, as far as it goes: at most what would be read from the source. */
  async openCopy(): Promise<void> {
    const { copy, crypto, nowMs } = this.#ports;
    if (copy === undefined) return;
    const source = copiedBefore(copy, this.#hold.holder.trust);
    await follow(this.#hold, { source, crypto, nowMs });
    this.#copy = new Copy(copy, this.#hold.holder.state.manifest.version);
  }

  /** The source, read no faster than the copy can follow. */
  get source(): Pick<CommitSource, 'read' | 'trust'> {
    const { source } = this.#ports;
    return {
      trust: (version) => source.trust(version),
      read: async (from) => {
        await this.#copy?.keepUp(this.#hold.holder);
        return source.read(from);
      },
    };
  }

  /** Brings the copy nearer to what is held. */
  async copy(): Promise<void> {
    await this.#copy?.follow(this.#hold.holder);
  }

  /** What somebody changed outside commits has no effect, is alarmed, and put right (C4). */
  async putRight({ state, read, misplaced }: Followed): Promise<void> {
    const { source, crypto } = this.#ports;
    if (state !== 'all' && state !== 'replaced') return;
    if (read === null || source.putRight === undefined) return;
    const truth = { holder: this.#hold.holder, nodes: this.#hold.nodes, crypto };
    for (const { key, done } of await source.putRight(truth, read, misplaced)) {
      const by = done ? 'put right' : 'put right by another';
      this.#hold.alarm(refuse('out-of-band', `${key} was changed outside a commit; ${by}`));
    }
  }

  /** What stores signed, for whoever audits. */
  async collect(receipts: Receipts): Promise<void> {
    const { source } = this.#ports;
    const { waiting } = receipts;
    if (source.collect === undefined || waiting.length === 0) return;
    receipts.collected(waiting.slice(0, await source.collect(waiting)));
  }

  /** Rarely: what nobody resumes from any more is forgotten. */
  async compact({ read }: Followed): Promise<void> {
    const { source, nowMs } = this.#ports;
    const seen = read?.seen;
    if (source.compact === undefined || seen === undefined) return;
    if (Math.abs(nowMs() - this.#compactedAtMs) < COMPACTION_INTERVAL_MS) return;
    const revision = compactable(this.#hold.holder, seen, nowMs());
    if (revision === null) return;
    this.#compactedAtMs = nowMs();
    await source.compact(revision);
  }

  /** The source can be read: what peers brought is not needed. */
  forgetPeers(): void {
    this.#catchUp.forget();
  }

  /**
   * Begins to ask peers, while the source cannot be read; `brought` is told when there is something
   * to take. `peers` are the URLs of their deltas.
   */
  askPeers(peers: readonly string[], brought: () => void): void {
    const { commitsOf } = this.#ports;
    if (commitsOf === undefined) return;
    const ask = peers.map((url) => (from: bigint) => commitsOf(url, from));
    this.#catchUp.ask(this.#hold.holder, ask, brought);
  }

  /**
   * Takes in a read's worth of what peers brought; the answer is whether there is more. Rejects
   * when the disk of the copy does not take it: then peers are asked again.
   */
  async takeBrought(): Promise<boolean> {
    const commits = this.#catchUp.take();
    if (commits.length === 0) return false;
    try {
      await this.#copy?.keepUp(this.#hold.holder);
      const refused = await this.#hold.take({ commits, attestations: [] });
      if (refused.length > 0) this.#catchUp.forget();
    } catch (error) {
      this.#catchUp.forget();
      throw error;
    }
    return this.#catchUp.hasMore;
  }
}
