// commit-storm (C1, C2, E1): ten commits a second by two operators' clients through different
// agents, with edges far apart and one site far from etcd. Each signs on the head it sees; whoever
// is second is told what is there and tries again. None is lost, the order is kept, no edge grows
// old.

import { randomUUID } from 'node:crypto';
import { nodeCrypto } from '../../agent/adapters/crypto.ts';
import { controlOf } from '../../agent/cli/agents.ts';
import type { Control } from '../../agent/cli/control.ts';
import { readState, type State } from '../../agent/cli/state.ts';
import { type Envelope, envelopeKind } from '../../shared/control/envelope.ts';
import { type Jws, signJws } from '../../shared/control/jws.ts';
import { admitBatch, verifyBatch } from '../../shared/control/receive.ts';
import { entryOf } from '../../shared/control/state.ts';
import { draft } from '../../shared/control/validity.ts';
import type { Signer } from '../../shared/crypto.ts';
import { EDGES, type EdgeId, SITES, type Site } from '../world/demo.ts';
import type { Report } from '../world/report.ts';
import { untilEdges } from '../world/sites.ts';
import { Stream } from '../world/stream.ts';
import { pause, until } from '../world/wait.ts';
import type { World, WorldOptions } from '../world/world.ts';

export const options: WorldOptions = { control: 'etcd' };

const STORM_MS = 20_000;
const RATE = 10;
const PATIENCE_MS = 30_000;

/** One way, ms: what lies between the agents and each location, and between w1 and etcd. */
const FAR: Readonly<Record<EdgeId, number>> = { fra: 10, iad: 45, gru: 100, nrt: 120 };
const FAR_FROM_ETCD_MS = 40;

type Operator = {
  /** Through which agent. */
  readonly through: Site;
  /** Its own tenant, so that every commit of its changes something. */
  readonly tenant: 'acme' | 'hooli';
};

type Tally = { landed: bigint[]; conflicts: number; ms: number[] };

export async function run(world: World, report: Report): Promise<void> {
  for (const edge of EDGES) world.edgeLinks[edge].delay(FAR[edge]);
  world.proxies.w1.delay(FAR_FROM_ETCD_MS);
  const stream = Stream.start(world);
  const ages = watchAges(world);
  const tallies = await Promise.all([
    storm(world, { through: 'eu1', tenant: 'acme' }),
    storm(world, { through: 'us1', tenant: 'hooli' }),
  ]);
  const landed = tallies.flatMap((tally) => tally.landed).sort((a, b) => (a < b ? -1 : 1));
  const times = tallies.flatMap(({ ms }) => ms).sort((a, b) => a - b);
  const conflicts = tallies.reduce((sum, tally) => sum + tally.conflicts, 0);
  report.event(`${landed.length} commits in ${STORM_MS / 1000} s, ${conflicts} conflicts`);
  report.event(`to land: median ${at(times, 0.5)} ms, p99 ${at(times, 0.99)} ms`);
  await untilEdges(world, landed.at(-1) ?? 0n, EDGES, PATIENCE_MS);
  report.goalAtLeast('commits a second', landed.length / (STORM_MS / 1000), RATE * 0.9, '1/s');
  await checkHistory(world, report, landed);
  await stream.stop();
  const oldest = await ages.stop();
  report.atMost('the oldest state at an edge', oldest, 15_000, 'ms');
  report.goalAtMost('the oldest state at an edge', oldest, 5_000, 'ms');
  await stream.check(report, 'throughout');
}

/** Half of the rate each, on the head that this client knows. */
async function storm(world: World, { through, tenant }: Operator): Promise<Tally> {
  const { paths, trust, keys } = world.deployment.project;
  const agent = [`http://127.0.0.1:${world.agents.get(through)?.ready['api']}`];
  const signer = await world.operatorSigner();
  const control = await controlOf(paths, trust, { agent, key: keys.operator }, signer);
  const author = new Author(await readState(paths, trust, null, control), signer);
  const tally: Tally = { landed: [], conflicts: 0, ms: [] };
  const ended = performance.now() + STORM_MS;
  const never = new AbortController().signal;
  for (let n = 0; performance.now() < ended; n++) {
    const began = performance.now();
    tally.landed.push(await land(author, control, tenant, n % 9, tally));
    const ms = performance.now() - began;
    tally.ms.push(Math.round(ms));
    await pause(Math.max(0, 2_000 / RATE - ms), never);
  }
  return tally;
}

/** Until it lands: who was second is told what is there, and signs again on that. */
async function land(
  author: Author,
  control: Control,
  tenant: string,
  priority: number,
  tally: Tally,
): Promise<bigint> {
  for (;;) {
    const jws = await author.sign(tenant, priority);
    const version = author.version + 1n;
    const outcome = await control.append(version, jws);
    switch (outcome.kind) {
      case 'created':
        await author.follow([jws]);
        return version;
      case 'exists':
        tally.conflicts += 1;
        await author.follow(outcome.commits);
        break;
      case 'refused':
        throw new Error(`${outcome.code}: ${outcome.detail}`);
      case 'unavailable':
        throw new Error(outcome.reasons.join());
    }
  }
}

/** An operator's client that verifies and folds what it is told, as the command line does. */
class Author {
  readonly #pieces: State['pieces'];
  readonly #signer: Signer;
  #holder: State['holder'];

  constructor({ pieces, holder }: State, signer: Signer) {
    this.#pieces = pieces;
    this.#holder = holder;
    this.#signer = signer;
  }

  get version(): bigint {
    return this.#holder.state.manifest.version;
  }

  /** The next commit: `tenant` at another priority. */
  sign(tenant: string, priority: number): Promise<Jws> {
    const { state, trust } = this.#holder;
    const { manifest, envelope: previous } = state;
    const entry = entryOf(state, tenant, this.#pieces.nodes, nodeCrypto);
    const value = { ...entry?.tenant, priority };
    const operations = [{ op: 'put', key: `tenants/${tenant}/tenant`, value } as const];
    const drafted = draft(state, operations, trust, this.#pieces.nodes, nodeCrypto);
    if ('code' in drafted) throw new Error(drafted.detail);
    const { cluster, generation, version, lamport } = manifest;
    const place = { cluster, generation, version: version + 1n, previous, lamport: lamport + 1n };
    const envelope: Envelope = {
      ...{ kind: 'commit', class: 'normal', author: 'operator', reason: 'a storm' },
      ...{ ...place, trust: trust.document.version, opId: randomUUID(), operations },
      ...{ manifest: drafted.state.manifestDigest, approvals: [] },
    };
    return signJws(envelopeKind.typ, envelope, [this.#signer]);
  }

  async follow(commits: readonly unknown[]): Promise<void> {
    const batch = await verifyBatch(this.#holder, { commits, attestations: [] }, nodeCrypto);
    const taken = admitBatch(this.#holder, batch, this.#pieces, 0, nodeCrypto);
    const [refused] = taken.refused;
    if (refused !== undefined) throw new Error(`${refused.code}: ${refused.detail}`);
    this.#holder = taken.holder;
    this.#pieces.prune(this.version);
  }
}

/** Every commit that was answered `landed` is there once, in order, and signed as applied. */
async function checkHistory(
  world: World,
  report: Report,
  landed: readonly bigint[],
): Promise<void> {
  const { paths, trust } = world.deployment.project;
  const state = await readState(paths, trust, null, await world.deployment.open());
  const mine = state.commits.slice(1).map(({ version }) => version);
  report.equal('commits in the verified history', mine.length, landed.length, 'commits');
  report.equal('of them told as landed, in order', `${mine.join() === landed.join()}`, 'true');
  const head = landed.at(-1) ?? 0n;
  for (const site of SITES) {
    await until(
      `${site} holds version ${head}, and heard that every store applied it`,
      async () => {
        const status = (await world.agentStatus(site)) as {
          readonly active: { readonly version: string };
          readonly stores: readonly { readonly applied: { readonly version: string } | null }[];
        };
        const applied = status.stores.map((store) => BigInt(store.applied?.version ?? 0));
        if (BigInt(status.active.version) === head && applied.every((one) => one === head))
          return true;
        throw new Error(`${status.active.version}; ${applied.join()}`);
      },
      { deadlineMs: PATIENCE_MS },
    );
  }
  report.event('all agents and stores have the last one');
}

/** The oldest state that any location told of itself. */
function watchAges(world: World): { stop(): Promise<number> } {
  const ended = new AbortController();
  let oldest = 0;
  const running = (async () => {
    while (!ended.signal.aborted) {
      for (const edge of EDGES) {
        const answer = await world.probe(edge).catch(() => null);
        oldest = Math.max(oldest, answer?.edge.ageMs ?? 0);
      }
      await pause(200, ended.signal);
    }
  })();
  return {
    async stop() {
      ended.abort();
      await running;
      return oldest;
    },
  };
}

function at(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
