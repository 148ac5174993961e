// What the sites say now, asked of an agent as an operator asks.

import { SITES, type Site } from './demo.ts';
import { until } from './wait.ts';
import type { World } from './world.ts';

export type SiteWord = {
  readonly mode: string;
  readonly version: string;
  readonly ageMs: number;
};

/** The newest word of every site that `through` has heard and that is still valid. */
export async function wordsOf(
  world: World,
  through: Site,
): Promise<Readonly<Record<string, SiteWord | undefined>>> {
  const { sites } = (await world.askAgent(through, '/v1/attestations')) as {
    readonly sites: Readonly<Record<string, readonly SiteWord[]>>;
  };
  return Object.fromEntries(Object.entries(sites).map(([site, words]) => [site, words[0]]));
}

/** Resolves when every site of `expected` has said it lately: `live 3`, `frozen 2`, `silent`. */
export async function untilWords(
  world: World,
  expected: Readonly<Partial<Record<Site, string>>>,
  deadlineMs: number,
  through: Site = 'w1',
): Promise<void> {
  const what = Object.entries(expected).map(([site, word]) => `${site} ${word}`);
  await until(
    what.join(', '),
    async () => {
      const words = await wordsOf(world, through);
      const said = SITES.filter((site) => expected[site] !== undefined).map((site) => {
        const word = words[site];
        return word === undefined ? 'silent' : `${word.mode} ${word.version}`;
      });
      const wanted = SITES.flatMap((site) => expected[site] ?? []);
      if (said.join() === wanted.join()) return true;
      throw new Error(said.join());
    },
    { deadlineMs },
  );
}

/** The version that each edge location stands on, in their order. */
export async function untilEdges(
  world: World,
  version: bigint,
  edges: readonly Parameters<World['probe']>[0][],
  deadlineMs: number,
): Promise<void> {
  await until(
    `${edges.join(', ')} on version ${version}`,
    async () => {
      const found = await Promise.all(
        edges.map(async (id) => (await world.probe(id)).edge.version),
      );
      if (found.every((one) => one === version)) return true;
      throw new Error(found.join());
    },
    { deadlineMs },
  );
}
