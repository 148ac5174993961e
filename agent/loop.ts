// The agent's loop: read the source, fold, count what is active, attest, send. One turn at a time
// and at our own pace; deltas from peers come in between turns through `deliver`. Everything that a
// turn does to the outside goes through ports.
//
// What a crash leaves behind, step by step: before `keep.save` nothing was said; after it, a higher
// seq and the same digest are all that the next start can say; a push that was not sent is sent
// with the next turn. Nothing else is written.

import { answerOf, type StoreAnswer } from '../shared/control/answer.ts';
import type { Observation } from '../shared/control/attestation.ts';
import { attestationKind } from '../shared/control/attestation.ts';
import { compareVersions, type Link } from '../shared/control/chain.ts';
import { openDelta } from '../shared/control/delta.ts';
import { activated, emptyHolder, type Holder } from '../shared/control/holder.ts';
import type { Join } from '../shared/control/join.ts';
import { type Jws, signJws } from '../shared/control/jws.ts';
import type { NodeSource } from '../shared/control/merkle-map.ts';
import { admitBatch, type HolderStorage, verifyBatch } from '../shared/control/receive.ts';
import type { Global } from '../shared/control/record.ts';
import { type Refusal, refuse } from '../shared/control/refusal.ts';
import type { Trust } from '../shared/control/trust.ts';
import { ATTESTATION_INTERVAL_MS } from '../shared/limits.ts';
import { type AttestPlan, planAttestation } from './control/attest.ts';
import { type Cosignature, cosign } from './control/cosign.ts';
import { type Desk, type Fault, type Followed, follow } from './control/follow.ts';
import { Memory } from './control/memory.ts';
import { Pieces } from './control/pieces.ts';
import { type Proposal, propose } from './control/propose.ts';
import { Publisher, type Target, type TargetStatus } from './control/publish.ts';
import { Sworn } from './control/sworn.ts';
import type { AgentPorts, Kept, SourceRead } from './ports.ts';

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
  readonly #memory: Memory;
  readonly #sworn: Sworn;
  readonly #storage: HolderStorage;
  #source: SourceRead | null = null;
  #attestedAtMs = 0;
  /** What was held when this agent last spoke, or would have. */
  #spokenOf: Link['digest'] | null = null;
  #standing: Standing | null = null;
  #change = Promise.withResolvers<void>();

  private constructor(identity: AgentIdentity, start: Start, ports: AgentPorts) {
    this.#identity = identity;
    this.#ports = ports;
    this.#memory = new Memory(start.kept, ports.keep);
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

  /** URLs of the other agents that it sends to. */
  get peers(): readonly string[] {
    const peers = this.#publisher.status.filter(({ kind }) => kind === 'peer');
    return peers.map(({ url }) => url);
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
    const { state, read } = await follow(this.#desk(), this.#ports);
    this.#source = read ?? this.#source;
    const { nowMs } = this.#ports;
    this.#advance(activated(this.#holder, nowMs()));
    await this.#stand();
    // Either way: a clock that was put back must not end the attestations.
    const due = Math.abs(nowMs() - this.#attestedAtMs) >= ATTESTATION_INTERVAL_MS;
    const { envelope } = this.#holder.state;
    if (due || envelope !== this.#spokenOf) {
      this.#spokenOf = envelope;
      await this.#attest(state);
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
    await this.#stand();
    return this.#answer(taken.refused);
  }

  /** A commit that somebody signed, for the source; it is followed from there (C2). */
  propose(input: unknown): Promise<Proposal> {
    return propose(input, this.#holder, this.#pieces.nodes, this.#ports);
  }

  /** Reads the source between turns: what was just appended is held when this resolves. */
  async catchUp(): Promise<void> {
    const { read } = await follow(this.#desk(), this.#ports);
    this.#source = read ?? this.#source;
  }

  /** Every node of the state that is held. */
  get nodes(): NodeSource {
    return this.#pieces.nodes;
  }

  /** Our signature under a batch that a peer wants to commit, if we would land it ourselves. */
  async cosign(batch: unknown): Promise<Cosignature | Refusal> {
    // Who was shown two histories vouches for neither.
    const fault = this.#sworn.fault(this.#holder.state.manifest);
    if (fault !== null) return fault;
    const { crypto, signer } = this.#ports;
    const catchUp = () => this.catchUp();
    return cosign(batch, {
      holder: () => this.#holder,
      nodes: this.nodes,
      crypto,
      signer,
      catchUp,
    });
  }

  async #attest(state: Followed['state']): Promise<void> {
    const nowMs = this.#ports.nowMs();
    this.#attestedAtMs = nowMs;
    const fault = this.#sworn.fault(this.#holder.state.manifest);
    if (fault !== null) {
      // Nothing read yet is not the same as something lost.
      if (fault.code !== 'rollback' || state !== 'unreadable') this.#alarm(fault);
      return;
    }
    const mode = state === 'all' ? 'live' : 'frozen';
    const plan = planAttestation(this.#holder, this.#memory.kept, this.#situation(mode, nowMs));
    if (plan === null) return;
    const jws = await this.#say(plan);
    const { crypto } = this.#ports;
    const batch = await verifyBatch(this.#holder, { commits: [], attestations: [jws] }, crypto);
    this.#advance(admitBatch(this.#holder, batch, this.#storage, nowMs, crypto).holder);
    await this.#stand();
  }

  /** Kept first, said then: the order is the promise (C10). */
  async #say({ kept, attestation }: AttestPlan): Promise<Jws> {
    await this.#memory.save(kept);
    return signJws(attestationKind.typ, attestation, [this.#ports.signer]);
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

  #desk(): Desk {
    const holder = () => this.#holder;
    return {
      get holder() {
        return holder();
      },
      storage: this.#storage,
      advance: (next) => this.#advance(next),
      alarm: (fault) => this.#alarm(fault),
    };
  }

  /** Takes the next holder. What it makes active is decided by only after it is kept (`#stand`). */
  #advance(holder: Holder): void {
    this.#holder = holder;
    const standing = this.#standing;
    if (standing?.link.digest === holder.active?.digest && standing !== null) {
      this.#standing = { ...standing, holder };
    }
  }

  /** Kept first, decided by then: a restart must not undo what somebody was served by (I2). */
  async #stand(): Promise<void> {
    const { active } = this.#holder;
    if (active === null || !this.#memory.allows(active)) return;
    if (active.digest === this.#standing?.link.digest) return;
    await this.#memory.saveActive(active);
    const global = this.#pieces.global(active.manifest.global);
    const held = this.#standing;
    // Another turn or delta may have come further while this one was written.
    if (global === null || (held !== null && compareVersions(held.link, active) >= 0)) return;
    const { nodes } = this.#pieces;
    this.#standing = { holder: this.#holder, link: active, global, nodes };
    this.#pieces.prune(active.version);
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }

  #answer(refused: readonly Refusal[]): StoreAnswer {
    return answerOf(this.#identity.agent, this.#holder, refused);
  }

  #alarm({ code, detail }: Fault, from?: object): void {
    this.#alarms.set(code, (this.#alarms.get(code) ?? 0) + 1);
    this.#ports.log({ alarm: code, detail, ...(from === undefined ? {} : { from }) });
  }
}

interface Start {
  readonly trust: Trust;
  readonly join: Join | null;
  readonly kept: Kept;
}
