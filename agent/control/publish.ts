// Sending state on: to the edges' ingest and to the other agents (H3). Each target has one push
// under way at most; what it answered last says which commits it lacks. The loop waits for none of
// this, and a target that is down is simply tried again with the next push.

import { parseJson, utf8Length } from '../../shared/canonical.ts';
import {
  headsOf,
  ingestAnswerSchema,
  type Place,
  type StoreAnswer,
  storeAnswerSchema,
} from '../../shared/control/answer.ts';
import { type Delta, sealDelta } from '../../shared/control/delta.ts';
import type { Holder } from '../../shared/control/holder.ts';
import type { Jws } from '../../shared/control/jws.ts';
import { PROTOCOL } from '../../shared/control/protocol.ts';
import { carriedTrust } from '../../shared/control/trust-chain.ts';
import {
  ATTESTATIONS_PER_DELTA_MAX,
  COMMITS_PER_DELTA_MAX,
  DELTA_BYTES_MAX,
} from '../../shared/limits.ts';
import type { AgentPorts } from '../ports.ts';
import type { Receipts } from './receipts.ts';

/** What is kept of an error's text. */
const REASON_CHARS_MAX = 300;

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
      /** After which place to go on: one for each store that stands elsewhere, the lowest first. */
      readonly heads: readonly Place[];
      readonly answer: unknown;
    }
  | { readonly kind: 'failed'; readonly atMs: number; readonly reason: string };

export type TargetStatus = Target & { readonly state: TargetState };

/**
 * What one push came to: does any store lag, did any move, how many places are there to go on from?
 */
interface Pushed {
  readonly lagging: boolean;
  readonly moved: boolean;
  readonly ways: number;
}

interface Sender {
  readonly site: string;
  readonly agent: string;
  readonly targets: readonly Target[];
}

export class Publisher {
  readonly #sender: Sender;
  readonly #holder: () => Holder;
  readonly #ports: AgentPorts;
  readonly #receipts: Receipts;
  readonly #states = new Map<Target, TargetState>();
  readonly #underWay = new Set<Target>();
  /** Asked for while a push was under way. */
  readonly #again = new Set<Target>();
  readonly #turns = new Map<Target, number>();

  constructor(sender: Sender, holder: () => Holder, ports: AgentPorts, receipts: Receipts) {
    this.#receipts = receipts;
    this.#sender = sender;
    this.#holder = holder;
    this.#ports = ports;
    this.retarget(sender.targets);
  }

  /** From now on to these; what is under way to others runs out. */
  retarget(targets: readonly Target[]): void {
    this.#states.clear();
    this.#turns.clear();
    for (const target of targets) this.#states.set(target, { kind: 'untried' });
  }

  get status(): readonly TargetStatus[] {
    return [...this.#states].map(([target, state]) => ({ ...target, state }));
  }

  /** Where the other agents take deltas. */
  get peers(): readonly string[] {
    return [...this.#states.keys()].filter(({ kind }) => kind === 'peer').map(({ url }) => url);
  }

  /** Starts a push to every target that has none under way. */
  publish(): void {
    for (const target of this.#states.keys()) {
      if (this.#underWay.has(target)) this.#again.add(target);
      else void this.#pushTo(target);
    }
  }

  async #pushTo(target: Target): Promise<void> {
    this.#underWay.add(target);
    do {
      this.#again.delete(target);
      await this.#pushUntilLevel(target);
    } while (this.#again.has(target) && this.#states.has(target));
    this.#underWay.delete(target);
  }

  /** Until nothing lags, or every way to send on was tried and moved nothing. */
  async #pushUntilLevel(target: Target): Promise<void> {
    try {
      let idle = 0;
      while (this.#states.has(target)) {
        const { lagging, moved, ways } = await this.#pushOnce(target);
        idle = moved ? 0 : idle + 1;
        if (!lagging || idle >= ways) return;
      }
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error);
      const reason = said.slice(0, REASON_CHARS_MAX).toWellFormed();
      this.#note(target, { kind: 'failed', atMs: this.#ports.nowMs(), reason });
    }
  }

  async #pushOnce(target: Target): Promise<Pushed> {
    const { push, crypto, signer, nowMs } = this.#ports;
    const holder = this.#holder();
    const before = this.#headsOf(target);
    const head = this.#nextOf(target, before);
    const older = await this.#older(holder, head);
    const delta = deltaFor(holder, head, older, nowMs(), signer.kid);
    const { site, agent } = this.#sender;
    const from = { cluster: holder.trust.cluster, site, agent };
    const text = await push(target.url, await sealDelta(delta, from, signer, crypto));
    const read = readAnswer(target.kind, text);
    if (read === null) throw new Error('the answer is not readable');
    const { heads, answer, stores } = read;
    this.#note(target, { kind: 'answered', atMs: nowMs(), heads, answer });
    await this.#receipts.hear(stores, holder.trust);
    const after = this.#headsOf(target);
    const { version } = holder.state.manifest;
    const lagging = after.some((place) => place.version < version);
    const moved = before.length === 0 || sumOf(after) > sumOf(before);
    return { lagging, moved, ways: after.length };
  }

  /** In turn: a store that takes nothing must not keep the others from what is new. */
  #nextOf(target: Target, heads: readonly Place[]): Place | null {
    const turn = this.#turns.get(target) ?? 0;
    this.#turns.set(target, turn + 1);
    return heads[turn % Math.max(1, heads.length)] ?? null;
  }

  /** Peers read commits from their own source; stores have no other. */
  #headsOf(target: Target): readonly Place[] {
    const known = this.#states.get(target);
    return known?.kind === 'answered' && target.kind === 'edge' ? known.heads : [];
  }

  /** A target that was dropped meanwhile does not come back. */
  #note(target: Target, state: TargetState): void {
    if (this.#states.has(target)) this.#states.set(target, state);
  }

  /** Commits that a far-behind target needs and the chain no longer has. */
  async #older(holder: Holder, head: Place | null): Promise<readonly unknown[]> {
    const first = holder.chain[0]?.version ?? 0n;
    if (head === null || head.version + 1n >= first) return [];
    const { source, copy = source } = this.#ports;
    const from = head.version + 1n;
    // A store must catch up with the quorum gone, too.
    const read = await source.read(from).catch(() => copy.read(from));
    return read.commits;
  }
}

/**
 * What to send to a receiver that stands at `head` (null: unknown, so attestations alone). `older`
 * are the commits behind the chain's first, when the receiver lacks those. The word of the key
 * `own` goes first, so that it is carried however many others were heard.
 */
export function deltaFor(
  holder: Holder,
  head: Place | null,
  older: readonly unknown[],
  nowMs: number,
  own = '',
): Delta {
  const chain = head === null ? [] : holder.chain.filter(({ version }) => version > head.version);
  const commits = older.length > 0 ? (older as readonly Jws[]) : chain.map(({ jws }) => jws);
  const { latest } = holder.book;
  const words = [...latest].sort(([a], [b]) => Number(b === own) - Number(a === own));
  const attestations = words
    .map(([, held]) => held)
    .filter(({ validUntilMs }) => validUntilMs > nowMs)
    .map(({ signed }) => signed.jws);
  return {
    v: PROTOCOL,
    trust: carriedTrust(holder.trust),
    commits: withinBytes(commits.slice(0, COMMITS_PER_DELTA_MAX)),
    attestations: attestations.slice(0, ATTESTATIONS_PER_DELTA_MAX),
  };
}

interface Answered {
  readonly heads: readonly Place[];
  readonly answer: unknown;
  /** With their receipts, unverified; peers have none. */
  readonly stores: readonly StoreAnswer[];
}

/** What a target answered, and where its stores stand; null for an answer that is none. */
export function readAnswer(kind: Target['kind'], text: string): Answered | null {
  const value = parseJson(text)?.value;
  if (kind === 'peer') {
    const answer = storeAnswerSchema.safeParse(value);
    if (!answer.success) return null;
    return { heads: headsOf([answer.data]), answer: bare(answer.data), stores: [] };
  }
  const answer = ingestAnswerSchema.safeParse(value);
  if (!answer.success) return null;
  const { edge, stores } = answer.data;
  return { heads: headsOf(stores), answer: { stores: stores.map(bare), edge }, stores };
}

/** Receipts are kept verified, elsewhere. */
function bare({ earlier: _, receipts: __, ...answer }: StoreAnswer): StoreAnswer {
  return answer;
}

/** Grows when any store of a target moves on. */
function sumOf(heads: readonly Place[]): bigint {
  return heads.reduce((sum, { version }) => sum + version, 0n);
}

/**
 * As many of the first commits as fit half a delta; one at least, if a receiver takes it at all.
 */
function withinBytes(commits: readonly Jws[]): readonly Jws[] {
  let bytes = 0;
  const end = commits.findIndex((jws) => {
    bytes += utf8Length(JSON.stringify(jws));
    return bytes > DELTA_BYTES_MAX / 2;
  });
  if (end < 0) return commits;
  const single = utf8Length(JSON.stringify(commits[0] ?? null)) <= (DELTA_BYTES_MAX * 3) / 4;
  return commits.slice(0, Math.max(end, single ? 1 : 0));
}
