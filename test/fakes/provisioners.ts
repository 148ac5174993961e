// Provisioners at the agents of a fleet. Peers answer at once unless they are silent or lie; a
// pause passes on the fleet's clock and takes no time here.

import { nodeCrypto } from '../../agent/adapters/crypto.ts';
import { getStep, postBatch, postStep, type TenantPorts } from '../../agent/api/tenants.ts';
import { Provisioner } from '../../agent/control/provision.ts';
import { canonical } from '../../shared/canonical.ts';
import type { Jws } from '../../shared/control/jws.ts';
import { refuse } from '../../shared/control/refusal.ts';
import { agentKey, SITES, type SiteName } from '../shared/kit.ts';
import { type Fleet, settled } from './fleet.ts';

/** For listeners whose tests are about something else. */
export const noTenants: TenantPorts = {
  provisioner: { submit: async () => refuse('queue-full', 'none here'), find: () => null },
  cosign: async () => refuse('step', 'none here'),
  holder: () => {
    throw new Error('nobody asks');
  },
  nodes: () => undefined,
  hasher: nodeCrypto,
  pause: settled,
  catchUp: settled,
};

export class Marketplace {
  readonly fleet: Fleet;
  /** Peers that do not answer. */
  readonly silent = new Set<SiteName>();
  /** What a peer answers instead of the truth. */
  readonly lies = new Map<SiteName, string>();
  /** Called before each commit is proposed, by the site that proposes. */
  beforeProposal: (site: SiteName) => Promise<void> = async () => {};
  readonly proposed: SiteName[] = [];
  readonly #pauses = new Set<{ readonly dueMs: number }>();
  readonly #provisioners = new Map<SiteName, Provisioner>();

  constructor(fleet: Fleet) {
    this.fleet = fleet;
  }

  at(site: SiteName): Provisioner {
    const held = this.#provisioners.get(site) ?? this.#begin(site);
    this.#provisioners.set(site, held);
    return held;
  }

  /** What `POST /v1/tenants` answers at a site. */
  async post(site: SiteName, step: Jws) {
    return postStep(JSON.stringify(step), this.ports(site));
  }

  get(site: SiteName, opId: string) {
    return getStep(opId, this.ports(site));
  }

  /** A restart: what waited is forgotten. */
  forget(site: SiteName): void {
    this.#provisioners.delete(site);
  }

  /** What the listener of a site is given. */
  ports(site: SiteName): TenantPorts {
    const agent = this.fleet.agent(site);
    return {
      provisioner: this.at(site),
      cosign: (batch) => agent.cosign(batch),
      holder: () => agent.holder,
      nodes: agent.nodes,
      hasher: nodeCrypto,
      pause: (ms) => this.#pause(ms),
      catchUp: () => agent.catchUp(),
    };
  }

  #begin(site: SiteName): Provisioner {
    const { fleet } = this;
    let batches = 0;
    return new Provisioner({
      agent: `${site}-1`,
      crypto: nodeCrypto,
      signer: agentKey(site),
      nowMs: () => fleet.nowMs,
      random: () => 0.5,
      opId: () => `batch-${site}-${++batches}-${fleet.nowMs}`,
      holder: () => fleet.agent(site).holder,
      nodes: (digest) => fleet.agent(site).nodes(digest),
      peers: () => SITES.filter((other) => other !== site),
      ask: (peer, batch) => this.#ask(peer as SiteName, batch),
      pause: (ms) => this.#pause(ms),
      propose: async (commit) => {
        await this.beforeProposal(site);
        this.proposed.push(site);
        return fleet.agent(site).propose(commit);
      },
      catchUp: () => fleet.agent(site).catchUp(),
      log: (line) => fleet.logs.push({ site, line }),
    });
  }

  async #ask(peer: SiteName, batch: string): Promise<string> {
    if (this.silent.has(peer)) return new Promise(() => {});
    const lie = this.lies.get(peer);
    if (lie !== undefined) return lie;
    return canonical((await postBatch(batch, this.ports(peer))).body);
  }

  /** Pauses end in the order of their times, as soon as nothing else is under way. */
  async #pause(ms: number): Promise<void> {
    const own = { dueMs: this.fleet.nowMs + ms };
    this.#pauses.add(own);
    do await settled();
    while ([...this.#pauses].some(({ dueMs }) => dueMs < own.dueMs));
    this.#pauses.delete(own);
    this.fleet.nowMs = Math.max(this.fleet.nowMs, own.dueMs);
  }
}
