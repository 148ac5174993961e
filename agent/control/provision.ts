// Provisioning at one agent (C3): steps come in, wait a moment for others, and go out as commits
// that this agent authors. There is no leader: whoever took the step authors the commit. When
// somebody else was first, what is left is judged again on the new head and tried again.
//
// What a crash leaves behind: a commit that is whole, or nothing. Steps that waited are forgotten;
// whoever sent one sends it again, here or elsewhere, and a step that landed is recognised by the
// record it made. Nothing lands twice.

import { batchOf, openStep, operationsOf } from '../../shared/control/batch.ts';
import { type Envelope, envelopeKind } from '../../shared/control/envelope.ts';
import type { Holder } from '../../shared/control/holder.ts';
import { type Jws, signJws, type Verified } from '../../shared/control/jws.ts';
import type { NodeSource } from '../../shared/control/merkle-map.ts';
import { type Ground, groundOn, stand, stepsFault } from '../../shared/control/provision.ts';
import { isRefusal, type Refusal, refuse } from '../../shared/control/refusal.ts';
import type { Step } from '../../shared/control/step.ts';
import { draft } from '../../shared/control/validity.ts';
import { OPERATIONS_PER_COMMIT_MAX } from '../../shared/limits.ts';
import {
  BATCH_WAIT_MS,
  PROVISION_PATIENCE_MS,
  PROVISION_QUEUE_MAX,
  PROVISION_RESULTS_MAX,
  PROVISION_RETRY_MS,
} from '../limits.ts';
import { chooseSteps, hasLanded } from './choose-steps.ts';
import { type GatherPorts, gather } from './cosign.ts';
import type { Proposal } from './propose.ts';

export type StepState =
  | { readonly state: 'pending' }
  /** `version` has it; it may have landed earlier. */
  | { readonly state: 'landed'; readonly version: bigint }
  | { readonly state: 'refused'; readonly refusal: Refusal };

/** One step on its way. */
export interface Ticket {
  readonly kind: 'ticket';
  readonly opId: string;
  readonly now: StepState;
  /** Resolves when it is pending no more. */
  readonly settled: Promise<void>;
}

export interface ProvisionPorts extends GatherPorts {
  readonly agent: string;
  readonly nowMs: () => number;
  /** 0 to 1: agents that collided part. */
  readonly random: () => number;
  /** A new one for each batch. */
  readonly opId: () => string;
  readonly holder: () => Holder;
  readonly nodes: NodeSource;
  readonly propose: (commit: Jws) => Promise<Proposal>;
  /** Reads the source: afterwards the holder has what landed. */
  readonly catchUp: () => Promise<void>;
  readonly log: (line: { readonly alarm?: string; readonly [field: string]: unknown }) => void;
}

class Waiting implements Ticket {
  readonly kind = 'ticket';
  readonly step: Verified<Step>;
  readonly sinceMs: number;
  now: StepState = { state: 'pending' };
  readonly #settling = Promise.withResolvers<void>();

  constructor(step: Verified<Step>, sinceMs: number) {
    this.step = step;
    this.sinceMs = sinceMs;
  }

  get opId(): string {
    return this.step.value.opId;
  }

  get settled(): Promise<void> {
    return this.#settling.promise;
  }

  settle(state: StepState): void {
    this.now = state;
    this.#settling.resolve();
  }
}

export class Provisioner {
  readonly #ports: ProvisionPorts;
  /** By opId, oldest first: those that wait, and the last ones that do not. */
  readonly #tickets = new Map<string, Waiting>();
  #queue: Waiting[] = [];
  #working = false;

  constructor(ports: ProvisionPorts) {
    this.#ports = ports;
  }

  /**
   * Takes a step that a provisioner signed. Refusals: those of `openStep` and `stand`, op-id,
   * queue-full. The same step sent again is the same ticket.
   */
  async submit(input: unknown): Promise<Ticket | Refusal> {
    const { holder, crypto, catchUp } = this.#ports;
    const step = await openStep(input, holder().trust, crypto);
    if ('code' in step) return step;
    const taken = this.#take(step);
    if (taken.kind === 'ticket' || taken.code === 'op-id' || taken.code === 'queue-full') {
      return taken;
    }
    // What it stands on may have landed a moment ago, at another agent.
    await catchUp();
    return this.#take(step);
  }

  #take(step: Verified<Step>): Ticket | Refusal {
    const { crypto, nowMs } = this.#ports;
    const known = this.#tickets.get(step.value.opId);
    if (known !== undefined && known.step.digest !== step.digest) {
      return refuse('op-id', `${step.value.opId} is another step`);
    }
    // One that was refused may fit the state by now.
    if (known !== undefined && known.now.state !== 'refused') return known;
    const ticket = new Waiting(step, nowMs());
    const ground = this.#ground();
    if (hasLanded(step.value, ground)) {
      ticket.settle({ state: 'landed', version: ground.version - 1n });
    } else {
      const stood = stand(step.value, ground, crypto);
      if (stood.kind === 'refused') return stood;
      if (this.#queue.length >= PROVISION_QUEUE_MAX) {
        return refuse('queue-full', `${PROVISION_QUEUE_MAX} steps wait here`);
      }
      this.#queue.push(ticket);
    }
    this.#remember(ticket);
    if (!this.#working && this.#queue.length > 0) void this.#work();
    return ticket;
  }

  /** The step of an opId that was sent to this agent; null: not known here. */
  find(opId: string): Ticket | null {
    return this.#tickets.get(opId) ?? null;
  }

  async #work(): Promise<void> {
    this.#working = true;
    while (this.#queue.length > 0) {
      if (this.#queuedOperations() < OPERATIONS_PER_COMMIT_MAX) {
        await this.#ports.pause(BATCH_WAIT_MS);
      }
      const fault = await this.#round().catch((error: unknown) => {
        this.#ports.log({ alarm: 'provision-bug', error: String(error) });
        return refuse('cosignatures', 'the agent failed');
      });
      if (fault === null) continue;
      this.#giveUp(fault);
      const { base, jitter } = PROVISION_RETRY_MS;
      await this.#ports.pause(base + this.#ports.random() * jitter);
    }
    this.#working = false;
  }

  /** One batch, from choosing to landing. A refusal is why it did not land this time. */
  async #round(): Promise<Refusal | null> {
    const { crypto, holder } = this.#ports;
    const ground = this.#ground();
    const waiting = this.#queue.map(({ step }) => step);
    const { chosen, landed, refused } = chooseSteps(waiting, ground, crypto);
    this.#settle((step) => {
      const refusal = refused.get(step);
      if (refusal !== undefined) return { state: 'refused', refusal };
      return landed.includes(step) ? { state: 'landed', version: ground.version - 1n } : null;
    });
    if (chosen.length === 0) return null;
    const { cluster, generation } = ground;
    const batch = batchOf(chosen, { cluster, generation, opId: this.#ports.opId() }, crypto);
    const cosigned = await gather(batch, holder(), this.#ports);
    if ('code' in cosigned) return cosigned;
    return this.#land(chosen, batch.opId, cosigned);
  }

  /** Somebody may be first again and again: co-signatures hold for as long as the steps stand. */
  async #land(
    steps: readonly Verified<Step>[],
    opId: string,
    cosigned: Jws,
  ): Promise<Refusal | null> {
    const { crypto, propose, catchUp, pause, random } = this.#ports;
    const startMs = this.#ports.nowMs();
    for (;;) {
      // What no longer stands, or has landed in an answer that was lost, is chosen anew.
      if (stepsFault(steps, this.#ground(), crypto) !== null) return null;
      const commit = await this.#sign(steps, opId, cosigned);
      if (isRefusal(commit)) return commit;
      const proposal = await propose(commit);
      await catchUp();
      switch (proposal.kind) {
        case 'landed': {
          const { version } = proposal;
          this.#settle((step) => (steps.includes(step) ? { state: 'landed', version } : null));
          return null;
        }
        case 'refused':
          // Our own draft, refused by the steps of every receiver: the head moved on, or a bug.
          this.#ports.log({ event: 'provision-refused', ...proposal });
          return proposal;
        case 'conflict':
        case 'unavailable': {
          if (this.#ports.nowMs() - startMs > PROVISION_PATIENCE_MS) return null;
          const { base, jitter } = PROVISION_RETRY_MS;
          await pause(base + random() * jitter);
        }
      }
    }
  }

  async #sign(
    steps: readonly Verified<Step>[],
    opId: string,
    cosigned: Jws,
  ): Promise<Jws | Refusal> {
    const { agent, crypto, nodes, signer } = this.#ports;
    const { state, trust } = this.#ports.holder();
    const operations = operationsOf(steps);
    const drafted = draft(state, operations, trust, nodes, crypto);
    if (isRefusal(drafted)) return drafted;
    const { manifest } = state;
    const envelope: Envelope = {
      kind: 'commit',
      cluster: manifest.cluster,
      generation: manifest.generation,
      version: manifest.version + 1n,
      previous: state.envelope,
      lamport: manifest.lamport + 1n,
      trust: trust.document.version,
      class: 'normal',
      author: agent,
      reason: `provisioning: ${steps.length} step${steps.length === 1 ? '' : 's'}`,
      opId,
      operations: [...operations],
      manifest: drafted.state.manifestDigest,
      approvals: [cosigned],
    };
    return signJws(envelopeKind.typ, envelope, [signer]);
  }

  #ground(): Ground {
    const { holder, nodes, crypto } = this.#ports;
    return groundOn(holder().state, nodes, crypto);
  }

  #queuedOperations(): number {
    return this.#queue.reduce((sum, { step }) => sum + step.value.operations.length, 0);
  }

  /** Ends the waiting of every step for which `end` has a state. */
  #settle(end: (step: Verified<Step>) => StepState | null): void {
    this.#queue = this.#queue.filter((ticket) => {
      const state = end(ticket.step);
      if (state !== null) ticket.settle(state);
      return state === null;
    });
  }

  /** Steps that have waited too long end with what stood in their way. */
  #giveUp(refusal: Refusal): void {
    const untilMs = this.#ports.nowMs() - PROVISION_PATIENCE_MS;
    this.#queue = this.#queue.filter((ticket) => {
      const ends = ticket.sinceMs <= untilMs;
      if (ends) ticket.settle({ state: 'refused', refusal });
      return !ends;
    });
  }

  #remember(ticket: Waiting): void {
    this.#tickets.delete(ticket.opId);
    this.#tickets.set(ticket.opId, ticket);
    for (const [opId, { now }] of this.#tickets) {
      if (this.#tickets.size <= PROVISION_RESULTS_MAX) return;
      if (now.state !== 'pending') this.#tickets.delete(opId);
    }
  }
}
