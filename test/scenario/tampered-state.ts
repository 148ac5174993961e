// tampered-state: everything on the way of control state is altered, one thing at a time: the
// directory of commits, the deltas, the caches, the stores' rows. Each alteration is refused under
// its own code where it enters, and nothing changes at any edge.

import { Bench } from '../world/attacks/bench.ts';
import { attackCaches } from '../world/attacks/caches.ts';
import { attackDeltas } from '../world/attacks/deltas.ts';
import { attackDirectory } from '../world/attacks/directory.ts';
import { attackRows } from '../world/attacks/rows.ts';
import type { Report } from '../world/report.ts';
import type { World, WorldOptions } from '../world/world.ts';

/** Most of it is done to the files of `control: file`. */
export const options: WorldOptions = { control: 'file' };

export async function run(world: World, report: Report): Promise<void> {
  const bench = await Bench.open(world, report);
  await bench.unchanged('before any attack');
  report.event('the directory');
  await attackDirectory(bench);
  report.event('deltas');
  await attackDeltas(bench);
  report.event('caches');
  await attackCaches(bench);
  report.event('rows of a store');
  await attackRows(bench);
}
