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
import type { Link } from '../shared/control/chain.ts';
import { openDelta } from '../shared/control/delta.ts';
import type { Holder } from '../shared/control/holder.ts';
import type { Join } from '../shared/control/join.ts';
import { signJws } from '../shared/control/jws.ts';
import type { NodeSource } from '../shared/control/merkle-map.ts';
import { type Refusal, refuse } from '../shared/control/refusal.ts';
import { isAgentKey, type Trust } from '../shared/control/trust.ts';
import { ATTESTATION_INTERVAL_MS } from '../shared/limits.ts';
import { Alarms } from './control/alarms.ts';
import { planAttestation } from './control/attest.ts';
import { Care } from './control/care.ts';
import { type Cosignature, cosign } from './control/cosign.ts';
import { type Followed, follow } from './control/follow.ts';
import { Hold, type Standing } from './control/hold.ts';
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

export class Agent {
  readonly #identity: AgentIdentity;
  readonly #ports: AgentPorts;
  readonly #alarms: Alarms;
  readonly #hold: Hold;
  readonly #sworn: Sworn;
  readonly #care: Care;
  readonly #receipts: Receipts;
  readonly #publisher: Publisher;
  #source: SourceRead | null = null;
  /** What the last look at the source said. */
  #readable = true;
  #rollback: Refusal | null = null;
  #turning: Promise<unknown> = Promise.resolve();
  /** A read of the source that was asked for and has not begun. */
  #waitingRead: Promise<void> | null = null;
  #attestedAtMs = 0;
  /** What was held when this agent last spoke, or would have. */
  #spokenOf: Link['digest'] | null = null;

  private constructor(identity: AgentIdentity, start: Start, ports: AgentPorts) {
    const { trust, kept, join } = start;
    this.#identity = identity;
    this.#ports = ports;
    this.#alarms = new Alarms(ports.log);
    this.#sworn = new Sworn(kept, join);
    this.#receipts = new Receipts(ports.crypto, (refusal) => this.#alarms.raise(refusal));
    this.#hold = new Hold(trust, kept ?? NOTHING, ports, this.#alarms, (link) => {
      this.#sworn.see(link);
      this.#receipts.see(link.version, ports.nowMs());
    });
    this.#care = new Care(identity.site, this.#hold, ports);
    this.#publisher = new Publisher(identity, () => this.holder, ports, this.#receipts);
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
    await agent.#care.openCopy();
    return agent;
  }

  get holder(): Holder {
    return this.#hold.holder;
  }

  /** Every node of the state that is held. */
  get nodes(): NodeSource {
    return this.#hold.nodes;
  }

  get standing(): Standing | null {
    return this.#hold.standing;
  }

  /** Resolves when another version has become active. */
  nextChange(): Promise<void> {
    return this.#hold.nextChange();
  }

  retarget(targets: readonly Target[]): void {
    this.#publisher.retarget(targets);
  }

  /** What the last look at the source said. */
  get isReadable(): boolean {
    return this.#readable;
  }

  /** URLs of the other agents that it sends to. */
  get peers(): readonly string[] {
    return this.#publisher.peers;
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
    const { version } = this.holder.state.manifest;
    return {
      alarms: this.#alarms.counts,
      stores: this.#receipts.status(version, this.#ports.nowMs()),
      targets: this.#publisher.status,
    };
  }

  /**
   * One pass of the loop, after those asked for before. Rejects only when what must survive cannot
   * be written.
   */
  turn(): Promise<void> {
    return this.#inTurn(() => this.#turn());
  }

  /**
   * Reads the source between turns: what was just appended is held when this resolves. Whoever asks
   * while a read waits for its turn shares it: others may ask as often as they like, and the turn
   * that attests is behind one read at most (I16). One that has begun may have missed something.
   */
  catchUp(): Promise<void> {
    this.#waitingRead ??= this.#inTurn(async () => {
      this.#waitingRead = null;
      await this.#follow();
    });
    return this.#waitingRead;
  }

  /**
   * A delta from a peer: its attestations are taken, its commits are not. What an agent attests
   * must come from its own source: a commit that an operator signed and nobody decided, brought by
   * one stolen agent, would else be attested by all (I16). A stranger is told the code alone.
   */
  async deliver(text: string): Promise<StoreAnswer | Refusal> {
    const delta = await openDelta(text, this.holder.trust, this.#ports.crypto);
    if (delta.kind === 'refused') {
      this.#alarms.raiseOfStranger(delta, this.#ports.nowMs());
      return delta;
    }
    for (const refusal of delta.refused) this.#alarms.raise(refusal, delta.sender);
    await this.#hold.trusting(delta.trust);
    // Attack: words of a key that was revoked, told to an agent that has forgotten it.
    const fault = this.#hold.memory.trustFault(this.holder.trust);
    if (fault !== null) {
      this.#alarms.raise(fault);
      return { ...this.#answer([fault]), code: fault.code };
    }
    const refused = await this.#hold.take({ commits: [], attestations: delta.attestations });
    for (const refusal of refused) {
      // Relayed words cross on the way: an older one is refused and no alarm.
      if (refusal.code !== 'attestation-old') this.#alarms.raise(refusal, delta.sender);
    }
    await this.#hold.stand();
    // They may name what this agent cannot read: an edge that heard them is waiting for it.
    if (!this.#readable) this.#askPeers();
    return this.#answer([...delta.refused, ...refused]);
  }

  /**
   * A commit that somebody signed, for the source; it is followed from there (C2). It is judged on
   * what is held; where that does not let it land, once more on what is decided by now. While the
   * source cannot be read, it is said at once. While it does not have what is held, nothing lands
   * (refusal: rollback), and nothing is said to have landed.
   */
  async propose(input: unknown): Promise<Proposal> {
    if (!this.#readable) return UNREADABLE;
    const judged = async () => {
      return this.#rollback ?? propose(input, this.holder, this.nodes, this.#ports);
    };
    const first = await judged();
    if (first.kind === 'landed' || first.kind === 'unavailable') return first;
    await this.catchUp();
    return this.#readable ? judged() : UNREADABLE;
  }

  /** The next trust document, from whoever has enough root signatures on it (C5). */
  async publishTrust(input: unknown): Promise<PublishedTrust> {
    if (!this.#readable) return UNREADABLE;
    const { source, crypto } = this.#ports;
    const catchUp = () => this.catchUp();
    return publishTrust(input, { trust: () => this.holder.trust, catchUp, source, crypto });
  }

  /** Our signature under a batch that a peer wants to commit, if we would land it ourselves. */
  async cosign(batch: unknown): Promise<Cosignature | Refusal> {
    // Who was shown two histories vouches for neither.
    const fault = this.#fault();
    if (fault !== null) return fault;
    const { crypto, signer } = this.#ports;
    const { nodes } = this;
    const catchUp = () => this.catchUp();
    return cosign(batch, { holder: () => this.holder, nodes, crypto, signer, catchUp });
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const next = this.#turning.then(work);
    this.#turning = next.catch(() => {});
    return next;
  }

  async #turn(): Promise<void> {
    const followed = await this.#follow();
    if (this.#readable) this.#care.forgetPeers();
    else this.#askPeers();
    await this.#hold.stand();
    const { nowMs } = this.#ports;
    // Either way: a clock that was put back must not end the attestations.
    const due = Math.abs(nowMs() - this.#attestedAtMs) >= ATTESTATION_INTERVAL_MS;
    const { envelope } = this.holder.state;
    if (due || envelope !== this.#spokenOf) {
      this.#spokenOf = envelope;
      await this.#attest(followed.state);
      this.#publisher.publish();
    }
    await this.#keepHouse(followed);
  }

  #askPeers(): void {
    // A disk that cannot be written: the next turn writes to it too, and says so.
    this.#care.askPeers(this.peers, () => void this.#takeBrought().catch(() => {}));
  }

  /**
   * What peers brought, as soon as it comes, beside the turn, as words do: a gateway may wait for
   * it (P3), and the turn for a source that does not answer.
   */
  async #takeBrought(): Promise<void> {
    for (let more = true; more; ) {
      more = await this.#care.takeBrought();
      await this.#hold.stand();
    }
  }

  /** What nobody waits for: after the word that everybody does. */
  async #keepHouse(followed: Followed): Promise<void> {
    await this.#care.copy();
    if (followed.state === 'unreadable') return;
    if (this.#fault() === null) await this.#care.putRight(followed);
    await this.#care.compact(followed);
    await this.#care.collect(this.#receipts);
  }

  async #follow(): Promise<Followed> {
    const { crypto, nowMs } = this.#ports;
    const followed = await follow(this.#hold, { source: this.#care.source, crypto, nowMs });
    this.#source = followed.read ?? this.#source;
    this.#readable = followed.state !== 'unreadable';
    this.#rollback = followed.rollback;
    const lost = followed.read?.lost;
    if (lost !== undefined) this.#sworn.lose(lost);
    return followed;
  }

  /** Kept first, said then: the order is the promise (C10). */
  async #attest(state: Followed['state']): Promise<void> {
    const nowMs = this.#ports.nowMs();
    this.#attestedAtMs = nowMs;
    const fault = this.#fault();
    if (fault !== null) {
      // Nothing read yet is not the same as something lost.
      if (fault.code !== 'rollback' || state !== 'unreadable') this.#alarms.raise(fault);
      return;
    }
    const { memory } = this.#hold;
    const mode = state === 'all' ? 'live' : 'frozen';
    const plan = planAttestation(this.holder, memory.kept, this.#situation(mode, nowMs));
    if (plan === null) return;
    await memory.save(plan.kept);
    this.#sworn.keep(memory.kept);
    await memory.saveTrust(this.holder.trust);
    const jws = await signJws(attestationKind.typ, plan.attestation, [this.#ports.signer]);
    // A refusal of the own word: somebody else speaks with this key.
    for (const refusal of await this.#hold.take({ commits: [], attestations: [jws] })) {
      this.#alarms.raise(refusal);
    }
    await this.#hold.stand();
  }

  #situation(mode: 'live' | 'frozen', nowMs: number) {
    const { site, agent, assume } = this.#identity;
    const { manifest, global } = this.holder.state;
    const regions: Record<string, Observation> = {};
    for (const [id, record] of Object.entries(global.sites))
      if (record.region) regions[id] = assume;
    const commitIndex = this.#source?.commitIndex(manifest.version) ?? 0n;
    const { term = 0n, seen } = this.#source ?? {};
    return { site, agent, nowMs, mode, commitIndex, term, seen, regions };
  }

  /** Why this agent may say nothing now. */
  #fault(): Refusal | null {
    const evidence = { ...this.holder, nowMs: this.#ports.nowMs() };
    const others = attestedByOthers(this.#identity.site, evidence);
    return this.#sworn.fault(this.holder.state.manifest, others) ?? this.#trustFault();
  }

  /** Trust went back, or no longer names this agent's key. */
  #trustFault(): Refusal | null {
    const { trust } = this.holder;
    const fault = this.#hold.memory.trustFault(trust);
    if (fault !== null) return fault;
    const { site, agent } = this.#identity;
    if (isAgentKey(trust, this.#ports.signer.kid, site, agent)) return null;
    return refuse('role', `trust ${trust.document.version} does not name the key of ${agent}`);
  }

  #answer(refused: readonly Refusal[]): StoreAnswer {
    return answerOf(this.#identity.agent, this.holder, refused);
  }
}

interface Start {
  readonly trust: Trust;
  readonly join: Join | null;
  /** null for a new agent. */
  readonly kept: Kept | null;
}

const UNREADABLE = { kind: 'unavailable', detail: 'the source cannot be read now' } as const;

const NOTHING: Kept = { seq: 0n, generation: 1n, version: 0n, envelope: null };
