// The agent's loop: read the source, fold, count what is active, attest, send. One turn at a time
// and at our own pace; deltas from peers come in between turns through `deliver`. Everything that a
// turn does to the outside goes through ports.
//
// What a crash leaves behind, step by step: before `keep.save` nothing was said; after it, a higher
// seq and the same digest are all that the next start can say; a push that was not sent is sent
// with the next turn. Nothing else is written.

import { answerOf, placeOf, type StoreAnswer } from '../shared/control/answer.ts';
import type { Observation } from '../shared/control/attestation.ts';
import { attestationKind } from '../shared/control/attestation.ts';
import { compareVersions, type Link } from '../shared/control/chain.ts';
import { openDelta } from '../shared/control/delta.ts';
import { activated, emptyHolder, type Holder, screenCommit } from '../shared/control/holder.ts';
import type { Join } from '../shared/control/join.ts';
import { type Jws, signJws } from '../shared/control/jws.ts';
import type { NodeSource } from '../shared/control/merkle-map.ts';
import { admitBatch, type HolderStorage, verifyBatch } from '../shared/control/receive.ts';
import type { Global } from '../shared/control/record.ts';
import { type ControlCode, type Refusal, refuse } from '../shared/control/refusal.ts';
import type { Trust } from '../shared/control/trust.ts';
import { ATTESTATION_INTERVAL_MS, COMMITS_PER_READ_MAX } from '../shared/limits.ts';
import { type AttestPlan, planAttestation } from './control/attest.ts';
import { Pieces } from './control/pieces.ts';
import { Publisher, type Target, type TargetStatus } from './control/publish.ts';
import { Sworn } from './control/sworn.ts';
import { type AgentPorts, type Kept, SourceError, type SourceRead } from './ports.ts';

export interface AgentIdentity {
  readonly site: string;
  readonly agent: string;
  readonly targets: readonly Target[];
  /** What this agent says of every region until it probes (Health). */
  readonly assume: Observation;
}

/** The active state as this agent holds it: what its gateway decides by. */
export interface Standing {
  readonly holder: Holder;
  readonly link: Link;
  readonly global: Global;
  readonly nodes: NodeSource;
}

export class Agent {
  readonly #identity: AgentIdentity;
  readonly #ports: AgentPorts;
  readonly #pieces: Pieces;
  readonly #publisher: Publisher;
  readonly #alarms = new Map<string, number>();
  #holder: Holder;
  #kept: Kept;
  readonly #sworn: Sworn;
  readonly #storage: HolderStorage;
  #source: SourceRead | null = null;
  #attestedAtMs = 0;
  #standing: Standing | null = null;
  #saving: Promise<void> = Promise.resolve();
  #change = Promise.withResolvers<void>();

  private constructor(identity: AgentIdentity, start: Start, ports: AgentPorts) {
    this.#identity = identity;
    this.#ports = ports;
    this.#kept = start.kept;
    this.#sworn = new Sworn(start.kept, start.join);
    const { holder, writes } = emptyHolder(start.trust, ports.crypto);
    this.#holder = holder;
    this.#pieces = new Pieces(writes, holder.state.manifest.global);
    this.#storage = {
      nodes: this.#pieces.nodes,
      store: (admitted) => {
        this.#sworn.see(admitted.link);
        this.#pieces.store(admitted);
      },
    };
    this.#publisher = new Publisher(identity, () => this.#holder, ports);
  }

  /**
   * Starts from what was kept, or, for a new agent, from an operator's join. Refusal: not-attested,
   * when there is neither (C10). Rejects when the keep cannot be read.
   */
  static async start(
    identity: AgentIdentity,
    trust: Trust,
    join: Join | null,
    ports: AgentPorts,
  ): Promise<Agent | Refusal> {
    const kept = await ports.keep.load();
    if (kept === null && join === null) {
      return refuse('not-attested', 'a new agent needs an operator’s join');
    }
    const fresh: Kept = { seq: 0n, generation: 1n, version: 0n, envelope: null };
    const start = { trust, join: kept === null ? join : null, kept: kept ?? fresh };
    return new Agent(identity, start, ports);
  }

  get holder(): Holder {
    return this.#holder;
  }

  get standing(): Standing | null {
    return this.#standing;
  }

  retarget(targets: readonly Target[]): void {
    this.#publisher.retarget(targets);
  }

  /** Resolves when another version has become active. */
  nextChange(): Promise<void> {
    return this.#change.promise;
  }

  /** Alarm counts by code and the last word of every target. */
  get status(): {
    readonly alarms: Readonly<Record<string, number>>;
    readonly targets: readonly TargetStatus[];
  } {
    return { alarms: Object.fromEntries(this.#alarms), targets: this.#publisher.status };
  }

  /** One pass of the loop. Rejects only when what must survive cannot be written. */
  async turn(): Promise<void> {
    const before = this.#holder.state.envelope;
    const read = await this.#follow();
    const { nowMs } = this.#ports;
    this.#advance(activated(this.#holder, nowMs()));
    await this.#keepActive();
    // Either way: a clock that was put back must not end the attestations.
    const due = Math.abs(nowMs() - this.#attestedAtMs) >= ATTESTATION_INTERVAL_MS;
    if (due || before !== this.#holder.state.envelope) {
      await this.#attest(read);
      this.#publisher.publish();
    }
  }

  /**
   * A delta from a peer: its attestations are taken, its commits are not. What an agent attests
   * must come from its own source: a commit that an operator signed and nobody decided, brought by
   * one stolen agent, would else be attested by all (I16).
   */
  async deliver(text: string): Promise<StoreAnswer> {
    const { crypto, nowMs } = this.#ports;
    const delta = await openDelta(text, this.#holder.trust, crypto);
    if (delta.kind === 'refused') {
      this.#alarm(delta);
      return { ...this.#answer([delta]), code: delta.code };
    }
    const words = { commits: [], attestations: delta.attestations };
    const batch = await verifyBatch(this.#holder, words, crypto);
    const taken = admitBatch(this.#holder, batch, this.#storage, nowMs(), crypto);
    this.#advance(taken.holder);
    for (const refusal of taken.refused) {
      // Relayed words cross on the way: an older one is refused and no alarm.
      if (refusal.code !== 'attestation-old') this.#alarm(refusal, delta.sender);
    }
    await this.#keepActive();
    return this.#answer(taken.refused);
  }

  /** Reads until there is no more. */
  async #follow(): Promise<Exclude<ReadState, 'more'>> {
    for (;;) {
      const found = await this.#readOnce();
      if (found !== 'more') return found;
    }
  }

  /** Reads from the head on, so that a head that was changed underneath is noticed. */
  async #readOnce(): Promise<ReadState> {
    const { source, crypto, nowMs } = this.#ports;
    const { version } = this.#holder.state.manifest;
    let read: SourceRead;
    try {
      read = await source.read(version === 0n ? 1n : version);
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      this.#alarm({ code: error.code, detail: error.message });
      return 'unreadable';
    }
    this.#source = read;
    if (version > 0n && read.commits.length === 0) {
      this.#alarm(refuse('rollback', `the source no longer has commit ${version}`));
      return 'halted';
    }
    const headHolds = version === 0n || this.#knows(read.commits[0]);
    const input = { commits: read.commits, attestations: [] };
    const batch = await verifyBatch(this.#holder, input, crypto);
    const taken = admitBatch(this.#holder, batch, this.#storage, nowMs(), crypto);
    this.#advance(taken.holder);
    for (const refusal of taken.refused) this.#alarm(refusal);
    if (!headHolds) return 'halted';
    const moved = this.#holder.state.manifest.version > version;
    if (!moved && read.commits.length > 1 && taken.refused.length === 0) {
      this.#alarm(refuse('stale', `what follows commit ${version} in the source is older`));
    }
    return moved && read.commits.length === COMMITS_PER_READ_MAX ? 'more' : 'all';
  }

  #knows(commit: unknown): boolean {
    return screenCommit(this.#holder, commit, 0, this.#ports.crypto).kind === 'known';
  }

  async #attest(read: Exclude<ReadState, 'more'>): Promise<void> {
    const nowMs = this.#ports.nowMs();
    this.#attestedAtMs = nowMs;
    const fault = this.#sworn.fault(this.#holder.state.manifest);
    if (fault !== null) {
      // Nothing read yet is not the same as something lost.
      if (fault.code !== 'rollback' || read !== 'unreadable') this.#alarm(fault);
      return;
    }
    const mode = read === 'all' ? 'live' : 'frozen';
    const plan = planAttestation(this.#holder, this.#kept, this.#situation(mode, nowMs));
    if (plan === null) return;
    const jws = await this.#say(plan);
    const { crypto } = this.#ports;
    const batch = await verifyBatch(this.#holder, { commits: [], attestations: [jws] }, crypto);
    this.#advance(admitBatch(this.#holder, batch, this.#storage, nowMs, crypto).holder);
  }

  /** Kept first, said then: the order is the promise (C10). */
  async #say({ kept, attestation }: AttestPlan): Promise<Jws> {
    await this.#persist(kept);
    return signJws(attestationKind.typ, attestation, [this.#ports.signer]);
  }

  /** What became active outlives a restart: it is kept before anybody hears of it (I2). */
  async #keepActive(): Promise<void> {
    const { active } = this.#holder;
    const kept = this.#kept.active;
    // Before its first word an agent keeps nothing: what is kept would stand for its join.
    if (this.#kept.version === 0n) return;
    if (active === null || (kept !== undefined && compareVersions(active, kept) <= 0)) return;
    await this.#persist({ active: placeOf(active) });
  }

  /** One save at a time, always of the newest: an older one must not land last. */
  async #persist(change: Partial<Kept>): Promise<void> {
    this.#kept = { ...this.#kept, ...change };
    const saved = this.#saving.then(() => this.#ports.keep.save(this.#kept));
    this.#saving = saved.catch(() => {});
    await saved;
  }

  #situation(mode: 'live' | 'frozen', nowMs: number) {
    const { site, agent, assume } = this.#identity;
    const { manifest, global } = this.#holder.state;
    const regions: Record<string, Observation> = {};
    for (const [id, record] of Object.entries(global.sites))
      if (record.region) regions[id] = assume;
    const commitIndex = this.#source?.commitIndex(manifest.version) ?? 0n;
    return { site, agent, nowMs, mode, commitIndex, term: this.#source?.term ?? 0n, regions };
  }

  #advance(holder: Holder): void {
    this.#holder = holder;
    const { active } = holder;
    const floor = this.#kept.active;
    // Words from before a restart may still be valid: they bring nothing back (I2).
    if (active === null || (floor !== undefined && compareVersions(active, floor) < 0)) return;
    const global = this.#pieces.global(active.manifest.global);
    if (global === null) return;
    const moved = active !== this.#standing?.link;
    this.#standing = { holder, link: active, global, nodes: this.#pieces.nodes };
    this.#pieces.prune(active.version);
    if (!moved) return;
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }

  #answer(refused: readonly Refusal[]): StoreAnswer {
    return answerOf(this.#identity.agent, this.#holder, refused);
  }

  #alarm(
    { code, detail }: { readonly code: ControlCode | SourceError['code']; readonly detail: string },
    from?: object,
  ): void {
    this.#alarms.set(code, (this.#alarms.get(code) ?? 0) + 1);
    this.#ports.log({ alarm: code, detail, ...(from === undefined ? {} : { from }) });
  }
}

/** What a reading of the source came to: `halted` where the head is gone or another one. */
type ReadState = 'more' | 'all' | 'halted' | 'unreadable';

interface Start {
  readonly trust: Trust;
  readonly join: Join | null;
  readonly kept: Kept;
}
