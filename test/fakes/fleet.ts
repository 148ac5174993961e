// Three agents in one process: the real loop on a clock, a source, keeps and a network that a test
// holds in its hand. Nothing happens by itself: a message waits on the wire until it is delivered,
// lost or delivered twice, and an agent lives until it is crashed.
//
// All fakes settle within microtasks, so that one turn of the event loop (`settled`) is enough to
// know that whatever could happen has happened.

import { nodeCrypto } from '../../agent/adapters/crypto.ts';
import type { Target } from '../../agent/control/publish.ts';
import { Agent, type AgentIdentity } from '../../agent/loop.ts';
import { type AgentPorts, SourceError } from '../../agent/ports.ts';
import { canonical } from '../../shared/canonical.ts';
import { type Attestation, attestationKind } from '../../shared/control/attestation.ts';
import type { Operation } from '../../shared/control/envelope.ts';
import type { Join } from '../../shared/control/join.ts';
import { decodeJws, type Jws } from '../../shared/control/jws.ts';
import type { Trust } from '../../shared/control/trust.ts';
import type { Digest } from '../../shared/digest.ts';
import {
  agentKey,
  commit,
  FIRST,
  newHolder,
  put,
  receive,
  SITES,
  type SiteName,
  type TestHolder,
  testTrust,
} from '../shared/kit.ts';
import { MemoryKeep } from './memory-keep.ts';
import { MemorySource } from './memory-source.ts';

export const START_MS = 1_795_000_000_000;

const trust = await testTrust();

export interface Message {
  readonly from: SiteName;
  readonly to: string;
  readonly delta: string;
  readonly answer: PromiseWithResolvers<string>;
}

type Line = Parameters<AgentPorts['log']>[0];

interface Life {
  readonly agent: Agent;
  dead: boolean;
}

export function joinOf(site: SiteName, changes: Partial<Join> = {}): Join {
  const agent = `${site}-1`;
  const place = { generation: 1n, version: 0n, envelope: null };
  return { kind: 'join', cluster: 'demo', site, agent, ...place, ...changes };
}

/** The attestations that a delta carries, whoever made them. */
export function wordsIn(delta: string): readonly Attestation[] {
  const { attestations } = JSON.parse(delta) as { attestations: readonly unknown[] };
  return attestations.flatMap((jws) => {
    const decoded = decodeJws(jws, attestationKind, nodeCrypto);
    return 'claimed' in decoded ? [decoded.claimed] : [];
  });
}

/** Whatever was under way in memory is done. */
export function settled(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

export class Fleet {
  nowMs = START_MS;
  /** How far each agent's own clock is off. */
  readonly offMs: Record<SiteName, number> = { eu1: 0, us1: 0, w1: 0 };
  readonly trust: Trust = trust;
  readonly source = new MemorySource();
  /** Sites that cannot read the source. */
  readonly cutOff = new Set<SiteName>();
  readonly keeps: Readonly<Record<SiteName, MemoryKeep>>;
  /** On their way. */
  readonly wire: Message[] = [];
  /** All that was ever put on the wire. */
  readonly sent: Omit<Message, 'answer'>[] = [];
  readonly logs: { readonly site: SiteName; readonly line: Line }[] = [];
  /** Holds what was committed, and signs what is committed next. */
  readonly author: TestHolder;
  readonly #lives = new Map<SiteName, Life>();

  constructor(author: TestHolder = newHolder(trust)) {
    this.author = author;
    this.keeps = { eu1: new MemoryKeep(), us1: new MemoryKeep(), w1: new MemoryKeep() };
  }

  /** All three agents, each with its join at version 0. */
  static async start(): Promise<Fleet> {
    const fleet = new Fleet();
    for (const site of SITES) await fleet.begin(site);
    return fleet;
  }

  /** All three stand on version 1, and it is active everywhere. */
  static async afloat(): Promise<Fleet> {
    const fleet = await Fleet.start();
    await fleet.commit(FIRST);
    await fleet.round(2);
    for (const site of SITES) if (fleet.activeAt(site) !== 1n) throw new Error(`${site} is not`);
    return fleet;
  }

  /** A second history on the same first commit, signed by the same operator. */
  async rival(): Promise<TestHolder> {
    const other = newHolder(trust);
    await receive(other, this.author.commits[0]);
    await commit(other, priorityOf(9));
    return other;
  }

  agent(site: SiteName): Agent {
    const life = this.#lives.get(site);
    if (life === undefined) throw new Error(`${site} was never started`);
    return life.agent;
  }

  /** Starts, or starts again, the agent of a site; throws where it refuses. */
  async begin(site: SiteName, options: BeginOptions = {}): Promise<Agent> {
    const { join = joinOf(site), targets = peersOf(site), ports = {}, pin = trust } = options;
    this.crash(site);
    const identity: AgentIdentity = { site, agent: `${site}-1`, targets, assume: 'up' };
    const own = { dead: false };
    const agent = await Agent.start(identity, pin, join, { ...this.#ports(site, own), ...ports });
    this.#lives.set(site, Object.assign(own, { agent }));
    return agent;
  }

  /** Nothing that this process still wants to send is sent. What is on the wire stays there. */
  crash(site: SiteName): void {
    const life = this.#lives.get(site);
    if (life !== undefined) life.dead = true;
  }

  /** The next commit, signed and appended for all to read. */
  async commit(operations: readonly Operation[]): Promise<Jws> {
    await commit(this.author, operations);
    const { version } = this.author.holder.state.manifest;
    const { jws } = newestOf(this.author);
    await this.source.append(version, jws);
    return jws;
  }

  /** A turn; what it sends is on the wire, not delivered. */
  async turn(...sites: readonly SiteName[]): Promise<void> {
    for (const site of sites.length === 0 ? SITES : sites) {
      await this.agent(site).turn();
      await settled();
    }
  }

  /** Delivers one message, the oldest by default; false when there was none. */
  async deliver(index = 0): Promise<boolean> {
    const [message] = this.wire.splice(index, 1);
    if (message === undefined) return false;
    await this.hand(message);
    await settled();
    return true;
  }

  async deliverAll(): Promise<void> {
    while (await this.deliver());
  }

  /** Everybody's turn, everything delivered, and the interval passes. */
  async round(times = 1): Promise<void> {
    for (let i = 0; i < times; i++) {
      await this.turn();
      await this.deliverAll();
      this.nowMs += 2_000;
    }
  }

  activeAt(site: SiteName): bigint | null {
    return this.agent(site).standing?.link.version ?? null;
  }

  headAt(site: SiteName): bigint {
    return this.agent(site).holder.state.manifest.version;
  }

  /** Codes of the alarms that a site raised, whatever they were about. */
  alarms(site: SiteName): readonly string[] {
    return this.#alarmsOf(site, () => true);
  }

  /** Those that were not about what a peer's delta carried. */
  ownAlarms(site: SiteName): readonly string[] {
    return this.#alarmsOf(site, (line) => line['from'] === undefined);
  }

  #alarmsOf(site: SiteName, counts: (line: Line) => boolean): readonly string[] {
    return this.logs.flatMap(({ site: of, line }) => {
      return of === site && line.alarm !== undefined && counts(line) ? [line.alarm] : [];
    });
  }

  /** What a site's agent said of itself, each word once, in the order of its first sending. */
  wordsOf(site: SiteName): readonly Attestation[] {
    const words = this.sent
      .filter(({ from }) => from === site)
      .flatMap(({ delta }) => wordsIn(delta))
      .filter((word) => word.site === site);
    return [...new Map(words.map((word) => [canonical(word), word])).values()];
  }

  /** Hands a message over, which may have been handed over before. */
  async hand({ to, delta, answer }: Message): Promise<void> {
    const life = this.#lives.get(to as SiteName);
    if (life === undefined || life.dead) {
      answer.reject(new Error(`${to} is down`));
      return;
    }
    const answered = await life.agent.deliver(delta);
    if ('kind' in answered) answer.reject(new Error(`answered 403 ${answered.code}`));
    else answer.resolve(canonical(answered));
  }

  #ports(site: SiteName, life: { readonly dead: boolean }): AgentPorts {
    return {
      nowMs: () => this.nowMs + this.offMs[site],
      crypto: nodeCrypto,
      signer: agentKey(site),
      source: {
        read: (from) => {
          if (this.cutOff.has(site)) return Promise.reject(new SourceError('cut off'));
          return this.source.read(from);
        },
        append: (version, jws) => this.source.append(version, jws),
        trust: (version) => {
          if (this.cutOff.has(site)) return Promise.reject(new SourceError('cut off'));
          return this.source.trust(version);
        },
        writeTrust: (version, jws) => this.source.writeTrust(version, jws),
        join: () => this.source.join(),
      },
      keep: this.keeps[site],
      push: (to, delta) => {
        const answer = Promise.withResolvers<string>();
        if (life.dead) return answer.promise;
        this.sent.push({ from: site, to, delta });
        this.wire.push({ from: site, to, delta, answer });
        return answer.promise;
      },
      log: (line) => {
        if (!life.dead) this.logs.push({ site, line });
      },
    };
  }
}

/** A small change of FIRST. */
export function priorityOf(priority: number): readonly Operation[] {
  const hosts = ['*.acme.example', 'acme.example'];
  return [put('tenants/acme/tenant', { hosts, scope: 'eu', policy: 'std', priority })];
}

export function newestOf({ commits, holder }: TestHolder): { jws: Jws; digest: Digest } {
  const jws = commits.at(-1);
  const digest = holder.state.envelope;
  if (jws === undefined || digest === null) throw new Error('there is no commit');
  return { jws, digest };
}

export interface BeginOptions {
  readonly join?: Join | null;
  /** The kit's first document by default. */
  readonly pin?: Trust;
  readonly targets?: readonly Target[];
  readonly ports?: Partial<AgentPorts>;
}

export function peersOf(site: SiteName): readonly Target[] {
  return SITES.filter((other) => other !== site).map((url) => ({ url, kind: 'peer' }));
}
