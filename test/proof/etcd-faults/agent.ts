// An agent in this process, on the real loop and the real source, with nobody to talk to.

import { EtcdSource } from '../../../agent/control/etcd-source.ts';
import type { Etcd } from '../../../agent/etcd-port.ts';
import { Agent } from '../../../agent/loop.ts';
import type { Jws } from '../../../shared/control/jws.ts';
import type { Trust } from '../../../shared/control/trust.ts';
import { joinOf } from '../../fakes/fleet.ts';
import { MemoryKeep } from '../../fakes/memory-keep.ts';
import { agentKey, crypto } from '../../shared/kit.ts';
import { pause, until } from '../../world/wait.ts';
import { foldOf } from './operator.ts';

const POLL_MS = 100;
const RETRY_MS = 20;
const PATIENCE_MS = 60_000;
/**
 * That a source cannot be read is no news here; behind a compaction an agent waits for others to
 * vouch for its chain, and there are none.
 */
const EXPECTED_ALARMS: readonly string[] = ['not-attested', 'source-unreadable'];

export class FaultedAgent {
  /** Answers of `propose` that nobody should get, by their kind or code. */
  readonly odd: string[] = [];
  retries = 0;
  readonly #agent: Agent;
  readonly #source: EtcdSource;
  readonly #ended = new AbortController();
  readonly #running: Promise<unknown>;

  private constructor(agent: Agent, source: EtcdSource) {
    this.#agent = agent;
    this.#source = source;
    this.#running = Promise.all([source.run(), this.#run()]);
  }

  static async start(etcd: Etcd, trust: Trust): Promise<FaultedAgent> {
    const elapsedMs = () => performance.now();
    const ports = { etcd, hasher: crypto, pause, trouble: () => {}, elapsedMs };
    const source = new EtcdSource('demo', null, ports);
    const identity = { site: 'eu1', agent: 'eu1-1', targets: [], assume: 'up' } as const;
    const agent = await Agent.start(identity, trust, joinOf('eu1'), {
      nowMs: () => Date.now(),
      crypto,
      signer: agentKey('eu1'),
      source,
      keep: new MemoryKeep(),
      push: () => Promise.reject(new Error('there is nobody')),
      log: () => {},
    });
    return new FaultedAgent(agent, source);
  }

  get fold(): string {
    return foldOf(this.#agent.holder.state);
  }

  /** Hands a commit over, once; did it say that it landed? */
  async offer(jws: Jws): Promise<boolean> {
    const proposal = await this.#agent.propose(jws);
    if (proposal.kind === 'unavailable') this.retries += 1;
    else if (proposal.kind === 'refused') this.odd.push(proposal.code);
    else if (proposal.kind === 'conflict') this.odd.push(proposal.kind);
    return proposal.kind === 'landed';
  }

  /** The same bytes until it says so. */
  async land(jws: Jws): Promise<void> {
    while (!(await this.offer(jws))) await pause(RETRY_MS, this.#ended.signal);
  }

  /** Resolves when it has folded that version, and was told of every revision up to that one. */
  async level(version: bigint, revision: bigint): Promise<void> {
    await until(
      `the agent has folded version ${version} and seen revision ${revision}`,
      () => {
        const at = this.#agent.holder.state.manifest.version;
        if (at === version && (this.#source.seen ?? 0n) >= revision) return true;
        throw new Error(`${at}, ${this.#source.seen}`);
      },
      { deadlineMs: PATIENCE_MS },
    );
  }

  /** Those that nothing here explains. */
  alarms(): string {
    const { alarms } = this.#agent.status;
    return Object.keys(alarms)
      .filter((code) => !EXPECTED_ALARMS.includes(code))
      .join();
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    this.#source.close();
    await this.#running;
  }

  /** As an agent's process does: at its own pace, or at once when there is something new. */
  async #run(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      await this.#agent.turn();
      await Promise.race([this.#source.changed(), pause(POLL_MS, this.#ended.signal)]);
    }
  }
}
