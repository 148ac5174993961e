// commit-storm (C1, C2, E1): ten commits a second by two operators' clients through different
// agents, with edges far apart and one site far from etcd. Each signs on the head it sees; whoever
// is second is told what is there and tries again. For a minute; none is lost, the order is kept,
// no edge grows old.

import type { Report } from '../world/report.ts';
import { runStorm } from '../world/storm.ts';
import type { World, WorldOptions } from '../world/world.ts';

export const options: WorldOptions = { control: 'etcd' };

const STORM_MS = 60_000;

export async function run(world: World, report: Report): Promise<void> {
  await runStorm(world, report, STORM_MS);
}
