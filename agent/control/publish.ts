// Sending state on: to the edges' ingest and to the other agents (H3). Each target has one push
// under way at most; what it answered last says which commits it lacks. The loop waits for none of
// this, and a target that is down is simply tried again with the next push.

import { parseJson } from '../../shared/canonical.ts';
import {
  ingestAnswerSchema,
  lowestHead,
  type Place,
  storeAnswerSchema,
} from '../../shared/control/answer.ts';
import { DELTA_VERSION, type Delta, sealDelta } from '../../shared/control/delta.ts';
import type { Holder } from '../../shared/control/holder.ts';
import type { Jws } from '../../shared/control/jws.ts';
import {
  ATTESTATIONS_PER_DELTA_MAX,
  COMMITS_PER_DELTA_MAX,
  DELTA_BYTES_MAX,
} from '../../shared/limits.ts';
import type { AgentPorts } from '../ports.ts';

export interface Target {
  readonly url: string;
  readonly kind: 'edge' | 'peer';
}

/** What a target said last, or why it said nothing. */
export type TargetState =
  | { readonly kind: 'untried' }
  | {
      readonly kind: 'answered';
      readonly atMs: number;
      /** Its newest commit; the lowest, where an edge answers for several stores. */
      readonly head: Place | null;
      readonly answer: unknown;
    }
  | { readonly kind: 'failed'; readonly atMs: number; readonly reason: string };

export type TargetStatus = Target & { readonly state: TargetState };

interface Sender {
  readonly site: string;
  readonly agent: string;
  readonly targets: readonly Target[];
}

export class Publisher {
  readonly #sender: Sender;
  readonly #holder: () => Holder;
  readonly #ports: AgentPorts;
  readonly #states = new Map<Target, TargetState>();
  readonly #underWay = new Set<Target>();

  constructor(sender: Sender, holder: () => Holder, ports: AgentPorts) {
    this.#sender = sender;
    this.#holder = holder;
    this.#ports = ports;
    this.retarget(sender.targets);
  }

  /** From now on to these; what is under way to others runs out. */
  retarget(targets: readonly Target[]): void {
    this.#states.clear();
    for (const target of targets) this.#states.set(target, { kind: 'untried' });
  }

  get status(): readonly TargetStatus[] {
    return [...this.#states].map(([target, state]) => ({ ...target, state }));
  }

  /** Starts a push to every target that has none under way. */
  publish(): void {
    for (const target of this.#states.keys()) {
      if (!this.#underWay.has(target)) void this.#pushTo(target);
    }
  }

  async #pushTo(target: Target): Promise<void> {
    this.#underWay.add(target);
    try {
      let behind = true;
      while (behind) behind = await this.#pushOnce(target);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#note(target, { kind: 'failed', atMs: this.#ports.nowMs(), reason });
    } finally {
      this.#underWay.delete(target);
    }
  }

  /** True when the target moved, or is known at last, and still lacks commits. */
  async #pushOnce(target: Target): Promise<boolean> {
    const { push, crypto, signer, nowMs } = this.#ports;
    const holder = this.#holder();
    const known = this.#states.get(target);
    // Peers read commits from their own source; stores have no other.
    const head = known?.kind === 'answered' && target.kind === 'edge' ? known.head : null;
    const delta = deltaFor(holder, head, await this.#older(holder, head), nowMs());
    const { site, agent } = this.#sender;
    const from = { cluster: holder.trust.cluster, site, agent };
    const text = await push(target.url, await sealDelta(delta, from, signer, crypto));
    const read = readAnswer(target.kind, text);
    if (read === null) throw new Error('the answer is not readable');
    this.#note(target, { kind: 'answered', atMs: nowMs(), ...read });
    const after = read.head;
    if (target.kind === 'peer' || after === null || after.version >= holder.state.manifest.version)
      return false;
    return head === null || after.version > head.version;
  }

  /** A target that was dropped meanwhile does not come back. */
  #note(target: Target, state: TargetState): void {
    if (this.#states.has(target)) this.#states.set(target, state);
  }

  /** Commits that a far-behind target needs and the chain no longer has. */
  async #older(holder: Holder, head: Place | null): Promise<readonly unknown[]> {
    const first = holder.chain[0]?.version ?? 0n;
    if (head === null || head.version + 1n >= first) return [];
    return (await this.#ports.source.read(head.version + 1n)).commits;
  }
}

/**
 * What to send to a receiver that stands at `head` (null: unknown, so attestations alone). `older`
 * are the commits behind the chain's first, when the receiver lacks those.
 */
export function deltaFor(
  holder: Holder,
  head: Place | null,
  older: readonly unknown[],
  nowMs: number,
): Delta {
  const chain = head === null ? [] : holder.chain.filter(({ version }) => version > head.version);
  const commits = older.length > 0 ? (older as readonly Jws[]) : chain.map(({ jws }) => jws);
  const attestations = [...holder.book.latest.values()]
    .filter(({ validUntilMs }) => validUntilMs > nowMs)
    .map(({ signed }) => signed.jws);
  return {
    v: DELTA_VERSION,
    trust: [holder.trust.jws],
    commits: withinBytes(commits.slice(0, COMMITS_PER_DELTA_MAX)),
    attestations: attestations.slice(0, ATTESTATIONS_PER_DELTA_MAX),
  };
}

/** What a target answered, and the lowest head in it; null for an answer that is none. */
export function readAnswer(
  kind: Target['kind'],
  text: string,
): { readonly head: Place | null; readonly answer: unknown } | null {
  const value = parseJson(text)?.value;
  if (kind === 'peer') {
    const answer = storeAnswerSchema.safeParse(value);
    return answer.success ? { head: answer.data.head ?? null, answer: answer.data } : null;
  }
  const answer = ingestAnswerSchema.safeParse(value);
  return answer.success ? { head: lowestHead(answer.data.stores), answer: answer.data } : null;
}

/** As many of the first commits as fit half a delta; one at least. */
function withinBytes(commits: readonly Jws[]): readonly Jws[] {
  let bytes = 0;
  const end = commits.findIndex((jws) => {
    bytes += JSON.stringify(jws).length;
    return bytes > DELTA_BYTES_MAX / 2;
  });
  return end < 0 ? commits : commits.slice(0, Math.max(1, end));
}
