// Commits from peers, for an agent whose source cannot be read (E6, C9): a new region, or one that
// was restarted, while etcd is down; or one that was a commit behind when it was lost. A peer alone
// decides nothing: of a run of commits only that is taken which a threshold of OTHER sites stands
// behind, digest by digest. Otherwise one stolen agent could bring what an operator signed and
// nobody decided (I16).
//
// Peers are asked beside the turns, by one question at a time, and another one first each time: a
// stolen peer may hold its answers back, and must not hold back this agent's words.

import { attestedByOthers, namedByOthers } from '../../shared/control/activation.ts';
import type { NamedCommit } from '../../shared/control/chain.ts';
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
 * The commits behind the head of `holder` that a threshold of others stands behind, from the first
 * peer that has some; [] when there is nothing to catch up with, or nobody has it. Never rejects.
 */
export async function commitsFromPeers(
  site: string,
  holder: Holder,
  peers: readonly AskPeer[],
  ports: Ports,
  bytesMax = CATCH_UP_BYTES_MAX,
): Promise<readonly unknown[]> {
  // As of now, however long peers take: what sites stood behind then they still do.
  const evidence = { ...holder, nowMs: ports.nowMs() };
  const goal = goalOf(site, holder, evidence.nowMs);
  if (goal === null) return [];
  for (const ask of peers) {
    const run = await runFrom(ask, holder, goal, ports, bytesMax);
    const last = attestedByOthers(site, { ...evidence, chain: run });
    if (last !== null) return run.slice(0, run.indexOf(last) + 1).map(({ input }) => input);
  }
  return [];
}

/** The version up to which a peer is asked, where a threshold of others is further than this. */
function goalOf(site: string, holder: Holder, nowMs: number): bigint | null {
  const { manifest } = holder.state;
  const named = namedByOthers(site, manifest, { ...holder, nowMs });
  const most = manifest.version + BigInt(CATCH_UP_COMMITS_MAX);
  return named === null || named <= most ? named : most;
}

type Brought = NamedCommit & { readonly input: unknown };

/** What a peer has of the commits up to `goal`, as far as they follow one another and verify. */
async function runFrom(
  ask: AskPeer,
  { state, trust }: Holder,
  goal: bigint,
  { nowMs, crypto }: Ports,
  bytesMax: number,
): Promise<readonly Brought[]> {
  const run: Brought[] = [];
  const startMs = nowMs();
  const { generation } = state.manifest;
  let { version } = state.manifest;
  let before = state.envelope;
  let bytes = 0;
  try {
    while (version < goal) {
      // Attack: one commit a page, each just in time.
      if (Math.abs(nowMs() - startMs) >= CATCH_UP_PEER_MS) return run;
      const page = await ask(version + 1n);
      if (page.length === 0) return run;
      for (const input of page.slice(0, Number(goal - version))) {
        bytes += JSON.stringify(input).length;
        if (bytes > bytesMax) return run;
        const decoded = decodeJws(input, envelopeKind, crypto);
        if (!('claimed' in decoded)) return run;
        const { claimed, digest } = decoded;
        const isNext = claimed.version === version + 1n && claimed.generation === generation;
        if (!isNext || claimed.previous !== before) return run;
        // Attack: a history without an end, made up while it is asked for.
        if ('code' in (await verifyCommit(decoded, trust, crypto))) return run;
        run.push({ input, generation, version: claimed.version, digest });
        before = digest;
        version += 1n;
      }
    }
  } catch {
    // A peer that goes down, or answers nonsense, has given what it has given.
  }
  return run;
}
