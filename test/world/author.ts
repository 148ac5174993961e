// An operator's client that goes on living between its commits: it verifies and folds what it is
// told, as the command line does, and signs on the head it knows.

import { randomUUID } from 'node:crypto';
import { nodeCrypto } from '../../agent/adapters/crypto.ts';
import { controlOf } from '../../agent/cli/agents.ts';
import type { Control } from '../../agent/cli/control.ts';
import { readState, type State } from '../../agent/cli/state.ts';
import { type Envelope, envelopeKind, type Operation } from '../../shared/control/envelope.ts';
import { type Jws, signJws } from '../../shared/control/jws.ts';
import { admitBatch, verifyBatch } from '../../shared/control/receive.ts';
import type { Tenant } from '../../shared/control/record.ts';
import { entryOf } from '../../shared/control/state.ts';
import { draft } from '../../shared/control/validity.ts';
import type { Signer } from '../../shared/crypto.ts';
import type { Digest } from '../../shared/digest.ts';
import type { Site } from './demo.ts';
import type { World } from './world.ts';

export type Landed = {
  readonly version: bigint;
  readonly digest: Digest;
  /** Epoch, ms: when the POST that landed was sent, and when it was answered. */
  readonly sentMs: number;
  readonly answeredMs: number;
  /** How often somebody else was first. */
  readonly conflicts: number;
};

/** What becomes of a tenant's record. */
export type Edit = (tenant: Tenant) => Tenant;

export class Author {
  readonly #pieces: State['pieces'];
  readonly #signer: Signer;
  readonly #ways: ReadonlyMap<Site, Control>;
  #holder: State['holder'];

  private constructor(state: State, signer: Signer, ways: ReadonlyMap<Site, Control>) {
    this.#pieces = state.pieces;
    this.#holder = state.holder;
    this.#signer = signer;
    this.#ways = ways;
  }

  /** One that reaches the agents of these sites, each alone. */
  static async open(world: World, sites: readonly Site[]): Promise<Author> {
    const { paths, trust, keys } = world.deployment.project;
    const signer = await world.operatorSigner();
    const ways = new Map<Site, Control>();
    for (const site of sites) {
      const agent = [`http://127.0.0.1:${world.agents.get(site)?.ready['api']}`];
      ways.set(site, await controlOf(paths, trust, { agent, key: keys.operator }, signer));
    }
    const state = await readState(paths, trust, null, await world.deployment.open());
    return new Author(state, signer, ways);
  }

  get version(): bigint {
    return this.#holder.state.manifest.version;
  }

  /**
   * Until it has landed by the agent of `through`: who was second is told what is there, and signs
   * again on that. Rejects when it is refused, or nobody knows.
   */
  async land(through: Site, tenant: string, edit: Edit): Promise<Landed> {
    const control = this.#ways.get(through);
    if (control === undefined) throw new Error(`no way to ${through}`);
    for (let conflicts = 0; ; conflicts++) {
      const jws = await this.#sign(tenant, edit);
      const version = this.version + 1n;
      const sentMs = epochMs();
      const outcome = await control.append(version, jws);
      const answeredMs = epochMs();
      switch (outcome.kind) {
        case 'created': {
          const digest = await this.#follow([jws]);
          return { version, digest, sentMs, answeredMs, conflicts };
        }
        case 'exists':
          await this.#follow(outcome.commits);
          break;
        case 'refused':
          throw new Error(`${outcome.code}: ${outcome.detail}`);
        case 'unavailable':
          throw new Error(outcome.reasons.join());
      }
    }
  }

  #sign(tenant: string, edit: Edit): Promise<Jws> {
    const { state, trust } = this.#holder;
    const { manifest, envelope: previous } = state;
    const entry = entryOf(state, tenant, this.#pieces.nodes, nodeCrypto);
    if (entry?.tenant === undefined) throw new Error(`no tenant ${tenant}`);
    const value = edit(entry.tenant);
    const operations: Operation[] = [{ op: 'put', key: `tenants/${tenant}/tenant`, value }];
    const drafted = draft(state, operations, trust, this.#pieces.nodes, nodeCrypto);
    if ('code' in drafted) throw new Error(drafted.detail);
    const { cluster, generation, version, lamport } = manifest;
    const place = { cluster, generation, version: version + 1n, previous, lamport: lamport + 1n };
    const envelope: Envelope = {
      ...{ kind: 'commit', class: 'normal', author: 'operator', reason: 'measured' },
      ...{ ...place, trust: trust.document.version, opId: randomUUID(), operations },
      ...{ manifest: drafted.state.manifestDigest, approvals: [] },
    };
    return signJws(envelopeKind.typ, envelope, [this.#signer]);
  }

  /** Folds them; the digest of the newest commit that is held then. */
  async #follow(commits: readonly unknown[]): Promise<Digest> {
    const batch = await verifyBatch(this.#holder, { commits, attestations: [] }, nodeCrypto);
    const taken = admitBatch(this.#holder, batch, this.#pieces, 0, nodeCrypto);
    const [refused] = taken.refused;
    if (refused !== undefined) throw new Error(`${refused.code}: ${refused.detail}`);
    this.#holder = taken.holder;
    this.#pieces.prune(this.version);
    const { envelope } = this.#holder.state;
    if (envelope === null) throw new Error('nothing was followed');
    return envelope;
  }
}

/** Finer than a millisecond, and comparable with what other processes of this machine say. */
export function epochMs(): number {
  return performance.timeOrigin + performance.now();
}
