// store-loss (E1, E3, C11): edge stores die one after the other, under traffic. Edges go on by the
// next one and, when none is left, by the gateways; a commit reaches every edge all the same; a
// store that comes back catches up, with its rows or without, and signs that it did.

import { rm } from 'node:fs/promises';
import { change } from '../world/change.ts';
import { EDGES } from '../world/demo.ts';
import type { Report } from '../world/report.ts';
import { untilEdges } from '../world/sites.ts';
import { ORDINARY, Stream } from '../world/stream.ts';
import { until } from '../world/wait.ts';
import type { World, WorldOptions } from '../world/world.ts';

export const options: WorldOptions = { control: 'etcd' };

const PATIENCE_MS = 30_000;

type StoreId = 'enam' | 'weur' | 'apac';

export async function run(world: World, report: Report): Promise<void> {
  // São Paulo's location is stopped now and then, to start cold: it is checked by itself.
  const stream = Stream.start(
    world,
    ORDINARY.filter(({ city }) => city !== 'sao-paulo'),
  );
  await untilApplied(world, ['enam', 'weur', 'apac'], 1n);

  await lose(world, 'enam');
  report.event('enam is dead');
  await startCold(world, report, 'without enam');
  await commitWhile(world, report, 'without enam', 2n, ['weur', 'apac']);
  await world.edgeHost.ask({ start: 'store-enam' });
  await untilApplied(world, ['enam'], 2n);
  report.event('enam is back with its rows, and signed version 2');

  await lose(world, 'enam');
  const file = (await world.edgeHost.ask({ storeFile: 'enam' })) as string;
  for (const end of ['', '-wal', '-shm']) await rm(`${file}${end}`, { force: true });
  await commitWhile(world, report, 'without enam, its rows deleted', 3n, ['weur', 'apac']);
  await world.edgeHost.ask({ start: 'store-enam' });
  await untilApplied(world, ['enam'], 3n);
  report.event('enam began again from nothing, and signed version 3');

  await lose(world, 'enam');
  await lose(world, 'weur');
  report.event('two of three are dead');
  await startCold(world, report, 'by apac alone');
  await commitWhile(world, report, 'by apac alone', 4n, ['apac']);
  await lose(world, 'apac');
  report.event('all three are dead: locations go on by the gateways');
  await commitWhile(world, report, 'without any store', 5n, []);
  for (const id of ['enam', 'weur', 'apac']) await world.edgeHost.ask({ start: `store-${id}` });
  await untilApplied(world, ['enam', 'weur', 'apac'], 5n);
  report.event('all three are back, and signed version 5');

  await stream.stop();
  await stream.check(report, 'throughout');
  const slow = stream.answers.filter(({ ms }) => ms > 1_500).length;
  report.goalAtMost('answers slower than 1.5 s', slow, 4, 'requests');
}

async function lose(world: World, id: StoreId): Promise<void> {
  await world.edgeHost.ask({ stop: `store-${id}` });
}

/**
 * Nothing in memory, nothing in the cache: what it can have comes from what is left. The first
 * store of its continent is enam, and of gateways it knows nothing before it has a head.
 */
async function startCold(world: World, report: Report, what: string): Promise<void> {
  await world.edgeHost.ask({ cachePurge: { location: 'gru' } });
  await world.edgeHost.ask({ stop: 'gru' });
  await world.edgeHost.ask({ start: 'gru' });
  const cold = Stream.start(
    world,
    ORDINARY.filter(({ city }) => city === 'sao-paulo'),
  );
  await until('it is answered', () => cold.answers.length >= 20, { deadlineMs: PATIENCE_MS });
  await cold.stop();
  report.equal(`wrong answers of a cold location, ${what}`, cold.wrong().length, 0, 'requests');
  const slowest = Math.round(Math.max(...cold.answers.map(({ ms }) => ms)));
  report.goalAtMost(`its slowest answer, ${what}`, slowest, 2_000, 'ms');
}

async function commitWhile(
  world: World,
  report: Report,
  what: string,
  version: bigint,
  stores: readonly StoreId[],
): Promise<void> {
  const began = performance.now();
  report.equal(`a commit ${what}`, await change(world, Number(version)), `landed ${version}`);
  await untilEdges(world, version, EDGES, PATIENCE_MS);
  const ms = Math.round(performance.now() - began);
  report.goalAtMost(`until every edge stands on it, ${what}`, ms, 5_000, 'ms');
  await untilApplied(world, stores, version);
}

/** By the receipts that the agents of eu1 heard. */
async function untilApplied(world: World, ids: readonly StoreId[], version: bigint): Promise<void> {
  await until(
    `${ids.join(', ')} signed version ${version}`,
    async () => {
      const { stores } = (await world.agentStatus('eu1')) as {
        readonly stores: readonly { store: string; applied: { version: string } | null }[];
      };
      const found = ids.map((id) => stores.find(({ store }) => store === id)?.applied?.version);
      if (found.every((one) => BigInt(one ?? 0) >= version)) return true;
      throw new Error(found.join());
    },
    { deadlineMs: PATIENCE_MS },
  );
}
