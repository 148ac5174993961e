// Commits from peers, for an agent whose source cannot be read (E6, C9): a new region, or one that
// was restarted, while etcd is down. A peer alone decides nothing: only a run of commits that
// leads, digest by digest, to what a threshold of OTHER sites attests is taken. Otherwise one
// stolen agent could bring what an operator signed and nobody decided (I16).
//
// Peers are asked beside the turns, by one question at a time, and another one first each time: a
// stolen peer may hold its answers back, and must not hold back this agent's words.

import { type NamedCommit, namedByOthers } from '../../shared/control/activation.ts';
import { envelopeKind } from '../../shared/control/envelope.ts';
import { type Holder, verifyCommit } from '../../shared/control/holder.ts';
import { decodeJws } from '../../shared/control/jws.ts';
import {
  CATCH_UP_BYTES_MAX,
  CATCH_UP_COMMITS_MAX,
  CATCH_UP_PEER_MS,
  COMMITS_PER_READ_MAX,
} from '../limits.ts';
import type { AgentPorts } from '../ports.ts';

/** Commits of one peer from a version on, oldest first, as many as it gives at once. */
export type AskPeer = (from: bigint) => Promise<readonly unknown[]>;

type Ports = Pick<AgentPorts, 'nowMs' | 'crypto'>;

export class CatchUp {
  readonly #site: string;
  readonly #ports: Ports;
  #brought: readonly unknown[] = [];
  #isAsking = false;
  #questions = 0;

  constructor(site: string, ports: Ports) {
    this.#site = site;
    this.#ports = ports;
  }

  /** The next commits of what peers brought, as many as a read of a source has. */
  take(): readonly unknown[] {
    const commits = this.#brought.slice(0, COMMITS_PER_READ_MAX);
    this.#brought = this.#brought.slice(COMMITS_PER_READ_MAX);
    return commits;
  }

  get hasMore(): boolean {
    return this.#brought.length > 0;
  }

  forget(): void {
    this.#brought = [];
  }

  /**
   * Begins to ask, unless that is under way, what was brought is still to be taken, or there is
   * nothing to catch up with. `brought` is told when something came.
   */
  ask(holder: Holder, peers: readonly AskPeer[], brought: () => void): void {
    if (this.#isAsking || this.hasMore || peers.length === 0) return;
    if (goalOf(this.#site, holder, this.#ports.nowMs()) === null) return;
    this.#isAsking = true;
    const first = this.#questions++ % peers.length;
    const inTurn = [...peers.slice(first), ...peers.slice(0, first)];
    void commitsFromPeers(this.#site, holder, inTurn, this.#ports).then((commits) => {
      this.#brought = commits;
      this.#isAsking = false;
      if (this.hasMore) brought();
    });
  }
}

/**
 * The commits behind the head of `holder` up to what others attest, from the first peer that has
 * them; [] when there is nothing to catch up with, or nobody has it. Never rejects.
 */
export async function commitsFromPeers(
  site: string,
  holder: Holder,
  peers: readonly AskPeer[],
  ports: Ports,
  bytesMax = CATCH_UP_BYTES_MAX,
): Promise<readonly unknown[]> {
  const goal = goalOf(site, holder, ports.nowMs());
  if (goal === null) return [];
  for (const ask of peers) {
    const run = await runFrom(ask, holder, goal, ports, bytesMax);
    if (run !== null) return run;
  }
  return [];
}

/** What others name, where this agent is behind it and may catch up with it. */
function goalOf(site: string, holder: Holder, nowMs: number): NamedCommit | null {
  const named = namedByOthers(site, { ...holder, nowMs });
  const { generation, version } = holder.state.manifest;
  if (named === null || named.generation !== generation) return null;
  const missing = named.version - version;
  return missing > 0n && missing <= BigInt(CATCH_UP_COMMITS_MAX) ? named : null;
}

async function runFrom(
  ask: AskPeer,
  { state, trust }: Holder,
  goal: NamedCommit,
  { nowMs, crypto }: Ports,
  bytesMax: number,
): Promise<readonly unknown[] | null> {
  const run: unknown[] = [];
  const startMs = nowMs();
  let { version } = state.manifest;
  let before = state.envelope;
  let bytes = 0;
  try {
    while (version < goal.version) {
      // Attack: one commit a page, each just in time.
      if (Math.abs(nowMs() - startMs) >= CATCH_UP_PEER_MS) return null;
      const page = await ask(version + 1n);
      if (page.length === 0) return null;
      for (const input of page.slice(0, Number(goal.version - version))) {
        bytes += JSON.stringify(input).length;
        if (bytes > bytesMax) return null;
        const decoded = decodeJws(input, envelopeKind, crypto);
        if (!('claimed' in decoded)) return null;
        const { claimed, digest } = decoded;
        if (claimed.version !== version + 1n || claimed.previous !== before) return null;
        // Attack: a history without an end, made up while it is asked for.
        if ('code' in (await verifyCommit(decoded, trust, crypto))) return null;
        run.push(input);
        before = digest;
        version += 1n;
      }
    }
  } catch {
    // A peer that is down, or answers nonsense, is a peer without an answer.
    return null;
  }
  return before === goal.digest ? run : null;
}
