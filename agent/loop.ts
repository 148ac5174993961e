// The agent's loop: read the source, fold, count what is active, attest, send. One turn at a time
// and at our own pace; deltas from peers come in between turns through `deliver`. Everything that a
// turn does to the outside goes through ports.
//
// What a crash leaves behind, step by step: before `keep.save` nothing was said; after it, a higher
// seq and the same digest are all that the next start can say; a push that was not sent is sent
// with the next turn. Nothing else is written.

import { attestedByOthers } from '../shared/control/activation.ts';
import { answerOf, type StoreAnswer } from '../shared/control/answer.ts';
import type { Observation } from '../shared/control/attestation.ts';
import { attestationKind } from '../shared/control/attestation.ts';
import { compareVersions, type Link } from '../shared/control/chain.ts';
import { openDelta } from '../shared/control/delta.ts';
import { activated, emptyHolder, type Holder, trusting } from '../shared/control/holder.ts';
import type { Join } from '../shared/control/join.ts';
import { type Jws, signJws } from '../shared/control/jws.ts';
import type { NodeSource } from '../shared/control/merkle-map.ts';
import { admitBatch, type HolderStorage, verifyBatch } from '../shared/control/receive.ts';
import type { Global } from '../shared/control/record.ts';
import { type Refusal, refuse } from '../shared/control/refusal.ts';
import { isAgentKey, type Trust } from '../shared/control/trust.ts';
import { ATTESTATION_INTERVAL_MS, COMPACTION_INTERVAL_MS } from '../shared/limits.ts';
import { type AttestPlan, planAttestation } from './control/attest.ts';
import { commitsFromPeers } from './control/catch-up.ts';
import { compactable } from './control/compaction.ts';
import { Copy } from './control/copy.ts';
import { type Desk, type Fault, type Followed, follow } from './control/follow.ts';
import { Memory } from './control/memory.ts';
import { Pieces } from './control/pieces.ts';
import { type Proposal, propose } from './control/propose.ts';
import { Publisher, type Target, type TargetStatus } from './control/publish.ts';
import { type PublishedTrust, publishTrust } from './control/publish-trust.ts';
import { type HeldReceipts, Receipts, type StoreReceipts } from './control/receipts.ts';
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
  readonly #receipts: Receipts;
  readonly #alarms = new Map<string, number>();
  #holder: Holder;
  readonly #memory: Memory;
  readonly #sworn: Sworn;
  readonly #storage: HolderStorage;
  #source: SourceRead | null = null;
  #copy: Copy | null = null;
  #turning: Promise<void> = Promise.resolve();
  #attestedAtMs = 0;
  #compactedAtMs = 0;
  #standing: Standing | null = null;
  #change = Promise.withResolvers<void>();

  private constructor(identity: AgentIdentity, start: Start, ports: AgentPorts) {
    this.#identity = identity;
    this.#ports = ports;
    this.#memory = new Memory(start.kept ?? NOTHING, ports.keep);
    this.#sworn = new Sworn(start.kept, start.join);
    const { holder, writes } = emptyHolder(start.trust, ports.crypto);
    this.#holder = holder;
    this.#pieces = new Pieces(writes, holder.state.manifest.global);
    this.#storage = {
      nodes: this.#pieces.nodes,
      store: (admitted) => {
        this.#sworn.see(admitted.link);
        this.#pieces.store(admitted);
        this.#receipts.see(admitted.link.version, ports.nowMs());
      },
    };
    this.#receipts = new Receipts(ports.crypto, (refusal) => this.#alarm(refusal));
    this.#publisher = new Publisher(identity, () => this.#holder, ports, this.#receipts);
  }

  /**
   * Starts from what was kept, or, for a new agent, from an operator's join; with neither it
   * attests nothing until a threshold of other sites attests what it holds (C10). Rejects when the
   * keep cannot be read.
   */
  static async start(
    identity: AgentIdentity,
    trust: Trust,
    join: Join | null,
    ports: AgentPorts,
  ): Promise<Agent> {
    const kept = await ports.keep.load();
    const agent = new Agent(identity, { trust, join, kept }, ports);
    await agent.#openCopy();
    return agent;
  }

  /**
   * Folds the own copy, as far as it goes: at most what this agent would read from its source.
   */
  async #openCopy(): Promise<void> {
    const { copy } = this.#ports;
    if (copy === undefined) return;
    await follow(this.#desk(), { ...this.#ports, source: copy });
    this.#copy = new Copy(copy, this.#holder.state.manifest.version);
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

  /** What stores signed that they did, the newest of each (C11). */
  get newestReceipts(): ReadonlyMap<string, HeldReceipts> {
    return this.#receipts.newest;
  }

  /** Alarm counts by code, what stores hold, and the last word of every target. */
  get status(): {
    readonly alarms: Readonly<Record<string, number>>;
    readonly stores: readonly StoreReceipts[];
    readonly targets: readonly TargetStatus[];
  } {
    const { version } = this.#holder.state.manifest;
    return {
      alarms: Object.fromEntries(this.#alarms),
      stores: this.#receipts.status(version, this.#ports.nowMs()),
      targets: this.#publisher.status,
    };
  }

  /**
   * One pass of the loop, after those asked for before. Rejects only when what must survive cannot
   * be written.
   */
  turn(): Promise<void> {
    const next = this.#turning.then(() => this.#turn());
    this.#turning = next.catch(() => {});
    return next;
  }

  async #turn(): Promise<void> {
    const before = this.#holder.state.envelope;
    const followed = await follow(this.#desk(), this.#ports);
    const { state, read } = followed;
    this.#source = read ?? this.#source;
    if (read?.lost === true) this.#sworn.lose();
    if (state === 'unreadable') await this.#catchUp();
    else await this.#putRight(followed);
    await this.#compact(read?.seen);
    await this.#copy?.follow(this.#holder);
    const { nowMs } = this.#ports;
    this.#advance(activated(this.#holder, nowMs()));
    await this.#stand();
    // Either way: a clock that was put back must not end the attestations.
    const due = Math.abs(nowMs() - this.#attestedAtMs) >= ATTESTATION_INTERVAL_MS;
    if (due || before !== this.#holder.state.envelope) {
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
    for (const refusal of delta.refused) this.#alarm(refusal, delta.sender);
    await this.#trusting(delta.trust);
    // Attack: words of a key that was revoked, told to an agent that has forgotten it.
    const fault = this.#memory.trustFault(this.#holder.trust);
    if (fault !== null) {
      this.#alarm(fault);
      return { ...this.#answer([fault]), code: fault.code };
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
    return this.#answer([...delta.refused, ...taken.refused]);
  }

  /**
   * A commit that somebody signed, for the source; it is followed from there (C2). A turn before,
   * so that it is judged on what is decided by now; one after, so that it is on its way when the
   * author hears of it.
   */
  async propose(input: unknown): Promise<Proposal> {
    await this.turn();
    const proposal = await propose(input, this.#holder, this.#pieces.nodes, this.#ports);
    if (proposal.kind === 'landed') await this.turn();
    return proposal;
  }

  /** The next trust document, from whoever has enough root signatures on it (C5). */
  async publishTrust(input: unknown): Promise<PublishedTrust> {
    const { source, crypto } = this.#ports;
    await this.turn();
    const published = await publishTrust(input, this.#holder.trust, source, crypto);
    if (published.kind === 'created') await this.turn();
    return published;
  }

  async #attest(state: Followed['state']): Promise<void> {
    const nowMs = this.#ports.nowMs();
    this.#attestedAtMs = nowMs;
    const fault = this.#fault();
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

  /** Rarely: what nobody resumes from any more is forgotten. */
  async #compact(seen: bigint | undefined): Promise<void> {
    const { source, nowMs } = this.#ports;
    if (source.compact === undefined || seen === undefined) return;
    if (Math.abs(nowMs() - this.#compactedAtMs) < COMPACTION_INTERVAL_MS) return;
    const revision = compactable(this.#holder, seen, nowMs());
    if (revision === null) return;
    this.#compactedAtMs = nowMs();
    await source.compact(revision);
  }

  /** Without a source: what other sites attest, from whichever peer has it. */
  async #catchUp(): Promise<void> {
    const { commitsOf, crypto, nowMs } = this.#ports;
    if (commitsOf === undefined) return;
    const peers = this.#publisher.peers.map((url) => (from: bigint) => commitsOf(url, from));
    const { site } = this.#identity;
    const commits = await commitsFromPeers(site, this.#holder, peers, nowMs(), crypto);
    if (commits.length === 0) return;
    const batch = await verifyBatch(this.#holder, { commits, attestations: [] }, crypto);
    this.#advance(admitBatch(this.#holder, batch, this.#storage, nowMs(), crypto).holder);
  }

  /** Why this agent may say nothing now. */
  #fault(): Refusal | null {
    const evidence = { ...this.#holder, nowMs: this.#ports.nowMs() };
    const others = attestedByOthers(this.#identity.site, evidence);
    return this.#sworn.fault(this.#holder.state.manifest, others) ?? this.#trustFault();
  }

  /** What somebody changed outside commits has no effect, is alarmed, and put right (C4). */
  async #putRight({ state, read, refused }: Followed): Promise<void> {
    const { source, crypto: hasher } = this.#ports;
    if (state !== 'all' && state !== 'replaced') return;
    if (read === null || source.putRight === undefined) return;
    if (this.#fault() !== null) return;
    const truth = { holder: this.#holder, nodes: this.#pieces.nodes, hasher };
    const findings = await source.putRight(truth, read, refused);
    for (const { key, done } of findings) {
      const by = done ? 'put right' : 'put right by another';
      this.#alarm(refuse('out-of-band', `${key} was changed outside a commit; ${by}`));
    }
  }

  /** Kept first, said then: the order is the promise (C10). */
  async #say({ kept, attestation }: AttestPlan): Promise<Jws> {
    await this.#memory.save(kept);
    await this.#memory.saveTrust(this.#holder.trust);
    return signJws(attestationKind.typ, attestation, [this.#ports.signer]);
  }

  #situation(mode: 'live' | 'frozen', nowMs: number) {
    const { site, agent, assume } = this.#identity;
    const { manifest, global } = this.#holder.state;
    const regions: Record<string, Observation> = {};
    for (const [id, record] of Object.entries(global.sites))
      if (record.region) regions[id] = assume;
    const commitIndex = this.#source?.commitIndex(manifest.version) ?? 0n;
    const { term = 0n, seen } = this.#source ?? {};
    return { site, agent, nowMs, mode, commitIndex, term, seen, regions };
  }

  #desk(): Desk {
    const holder = () => this.#holder;
    return {
      get holder() {
        return holder();
      },
      storage: this.#storage,
      advance: (next) => this.#advance(next),
      trusting: (trust) => this.#trusting(trust),
      alarm: (fault) => this.#alarm(fault),
    };
  }

  /** Kept first, judged by then: a restart must not bring back a key that was revoked (C5). */
  async #trusting(adopted: Trust): Promise<void> {
    const next = trusting(this.#holder, adopted);
    if (next === this.#holder) return;
    const fault = this.#memory.trustFault(next.trust);
    if (fault?.code === 'trust-fork') {
      this.#alarm(fault);
      return;
    }
    await this.#memory.saveTrust(next.trust);
    this.#advance(trusting(this.#holder, adopted));
  }

  /** Why this agent has no word: trust went back, or no longer names its key. */
  #trustFault(): Refusal | null {
    const { trust } = this.#holder;
    const fault = this.#memory.trustFault(trust);
    if (fault !== null) return fault;
    const { site, agent } = this.#identity;
    if (isAgentKey(trust, this.#ports.signer.kid, site, agent)) return null;
    return refuse('role', `trust ${trust.document.version} does not name the key of ${agent}`);
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
    if (this.#memory.trustFault(this.#holder.trust) !== null) return;
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
  /** null for a new agent. */
  readonly kept: Kept | null;
}

const NOTHING: Kept = { seq: 0n, generation: 1n, version: 0n, envelope: null };
