// deploy-skew (E1, C5, C11): parts of different versions, and parts that are replaced one by one.
// What was said in the version before is said to live stores again, and in the words of one that
// does not exist yet; then every store, location and agent is restarted alone, and the edge's key
// exchanged by the commands of docs/UPGRADES.md, while clients go on and commits land.

import { PROTOCOL } from '../../shared/control/protocol.ts';
import { change } from '../world/change.ts';
import { EDGE_OF, EDGES, type EdgeId, SITES, type Site } from '../world/demo.ts';
import { STORES } from '../world/edge-host.ts';
import { type Heard, recorded, replay } from '../world/recorded.ts';
import type { Report } from '../world/report.ts';
import { rotateEdgeKey } from '../world/rotate-edge-key.ts';
import { untilEdges, untilWords } from '../world/sites.ts';
import { ORDINARY, Stream, type StreamRow } from '../world/stream.ts';
import { until } from '../world/wait.ts';
import type { World, WorldOptions } from '../world/world.ts';

export const options: WorldOptions = { control: 'etcd' };

const PATIENCE_MS = 30_000;

/** Of the recording, delta by delta: the edge's status, and the head of every store after it. */
const SAID: readonly Heard[] = [
  { status: 200, heads: ['0', '0', '0'], refused: '' },
  { status: 200, heads: ['3', '3', '3'], refused: '' },
  { status: 200, heads: ['4', '4', '4'], refused: '' },
  { status: 200, heads: ['4', '4', '4'], refused: 'gap key-unknown' },
  { status: 200, heads: ['5', '5', '5'], refused: '' },
  { status: 403, heads: [], refused: 'key-unknown' },
];

const TOO_FAR: readonly Heard[] = SAID.map(() => {
  return { status: 403, heads: [], refused: 'version-unsupported' };
});

export async function run(world: World, report: Report): Promise<void> {
  await converse(world, report);
  await tellAgent(world, report);
  const roll = new Rolling(world, report);
  for (const id of STORES) await roll.store(id);
  for (const id of EDGES) await roll.location(id);
  for (const site of SITES) await roll.agent(site);
  await roll.during('while the key of the edge is exchanged', ORDINARY, async () => {
    await rotateEdgeKey(world, report, (what) => roll.commit(what));
  });
}

/** To stores that have nothing yet: what was said before, what will be, and what is too far off. */
async function converse(world: World, report: Report): Promise<void> {
  const versions = [
    [recorded.v, SAID],
    [recorded.v + 1, SAID],
    [recorded.v + 2, TOO_FAR],
  ] as const;
  for (const [v, expected] of versions) {
    const edges = await world.otherEdges(`edge-v${v}`, JSON.stringify(recorded.trust));
    const heard = await replay(v, (edges.ready['edges'] as Record<EdgeId, string>).fra);
    await edges.stop();
    for (const [i, answer] of heard.entries()) {
      const name = `version ${v}, delta ${i + 1}`;
      report.equal(name, JSON.stringify(answer), JSON.stringify(expected[i]));
    }
  }
}

/** The next version, and the one after that: an agent takes the one and not the other. */
async function tellAgent(world: World, report: Report): Promise<void> {
  const said = [
    [PROTOCOL + 1, '200 nothing'],
    [PROTOCOL + 2, '403 version-unsupported'],
  ] as const;
  for (const [v, expected] of said) {
    const nothing = { commits: [], attestations: [] };
    const delta = await world.seal('w1', nothing, { v, novelty: { of: v } });
    const { status, text } = await world.post('eu1', '/v1/delta', delta);
    const { code = 'nothing' } = JSON.parse(text) as { code?: string };
    report.equal(`an agent is told something in version ${v}`, `${status} ${code}`, expected);
  }
}

/** One part after the other; whoever would need it just then is not asked. */
class Rolling {
  readonly #world: World;
  readonly #report: Report;
  #version = 1n;

  constructor(world: World, report: Report) {
    this.#world = world;
    this.#report = report;
  }

  async store(id: (typeof STORES)[number]): Promise<void> {
    await this.during(`while store ${id} is replaced`, ORDINARY, async () => {
      await this.#world.edgeHost.ask({ stop: `store-${id}` });
      await this.commit(`without store ${id}`);
      await this.#world.edgeHost.ask({ start: `store-${id}` });
      await untilApplied(this.#world, this.#version);
    });
  }

  async location(id: EdgeId): Promise<void> {
    const rows = ORDINARY.filter(({ city }) => EDGE_OF[city] !== id);
    await this.during(`while location ${id} is replaced`, rows, async () => {
      await this.#world.edgeHost.ask({ stop: id });
      await this.#world.edgeHost.ask({ start: id });
      await this.commit(`with a new ${id}`);
    });
  }

  async agent(site: Site): Promise<void> {
    const rows = ORDINARY.filter(({ region }) => region !== site);
    await this.during(`while the agent of ${site} is replaced`, rows, async () => {
      await this.#world.agents.get(site)?.stop();
      await this.#world.startAgain(site);
      const live = `live ${this.#version}`;
      await untilWords(this.#world, { eu1: live, us1: live, w1: live }, PATIENCE_MS, site);
      await this.commit(`with a new agent of ${site}`);
    });
  }

  /** Lands, and every location comes to stand on it. */
  async commit(what: string): Promise<void> {
    this.#version += 1n;
    const said = await change(this.#world, Number(this.#version % 8n) + 2);
    this.#report.equal(`a commit ${what}`, said, `landed ${this.#version}`);
    await untilEdges(this.#world, this.#version, EDGES, PATIENCE_MS);
  }

  async during(what: string, rows: readonly StreamRow[], work: () => Promise<void>): Promise<void> {
    const stream = Stream.start(this.#world, rows);
    await work();
    await until('some requests', () => stream.answers.length >= 20, { deadlineMs: PATIENCE_MS });
    await stream.stop();
    this.#report.equal(`wrong answers ${what}`, stream.wrong().length, 0, 'requests');
  }
}

/** By the receipts that the agents of eu1 heard. */
async function untilApplied(world: World, version: bigint): Promise<void> {
  await until(
    `every store signed version ${version}`,
    async () => {
      const { stores } = (await world.agentStatus('eu1')) as {
        readonly stores: readonly { readonly applied: { readonly version: string } | null }[];
      };
      const found = stores.map(({ applied }) => BigInt(applied?.version ?? 0));
      if (found.length === STORES.length && found.every((one) => one >= version)) return true;
      throw new Error(found.join());
    },
    { deadlineMs: PATIENCE_MS },
  );
}
