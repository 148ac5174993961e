// What happens to an agent's way to etcd, in an order that a seed decides: connections are cut,
// stalled, half open both ways or one, cut in mid-stream and refused; history is compacted
// meanwhile; members restart.

import type { EtcdCluster as Client } from '../../../agent/adapters/etcd.ts';
import type { EtcdCluster } from '../../world/etcd.ts';
import type { FaultProxy } from '../../world/fault-proxy.ts';
import type { Random } from '../../world/random.ts';

const CUT_WAYS = [
  ...(['cut', 'stall', 'half-open', 'answers lost'] as const),
  ...(['cut in mid-stream', 'refuse'] as const),
];
type Fault = (typeof CUT_WAYS)[number] | 'compaction' | 'restart';

export type Counts = Readonly<Record<'cuts' | 'compactions' | 'restarts', number>>;

export function plannedFaults(counts: Counts, random: Random): readonly Fault[] {
  const faults: Fault[] = [];
  for (let i = 0; i < counts.cuts; i++) faults.push(CUT_WAYS[i % CUT_WAYS.length] ?? 'cut');
  for (let i = 0; i < counts.compactions; i++) faults.push('compaction');
  for (let i = 0; i < counts.restarts; i++) faults.push('restart');
  for (let i = faults.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [faults[i], faults[j]] = [faults[j] ?? 'cut', faults[i] ?? 'cut'];
  }
  return faults;
}

export type Place = {
  readonly cluster: EtcdCluster;
  readonly proxy: FaultProxy;
  /** Past the proxy. */
  readonly calm: Client;
  readonly random: Random;
  /** Makes a revision past the proxy, and says which. */
  readonly write: () => Promise<bigint>;
};

/** Breaks the way and lets some writes happen meanwhile. `mend` ends it. */
export async function strike(fault: Fault, place: Place): Promise<void> {
  const { cluster, proxy, calm, random, write } = place;
  switch (fault) {
    case 'cut':
      await write();
      return proxy.cut();
    case 'stall':
      proxy.stall();
      break;
    case 'half-open':
      proxy.halfOpen(['to-client', 'to-target']);
      break;
    case 'answers lost':
      proxy.halfOpen(['to-client']);
      break;
    case 'cut in mid-stream':
      proxy.stallAfter(random.below(200_000));
      break;
    case 'refuse':
      proxy.refuse();
      proxy.cut();
      break;
    case 'compaction': {
      proxy.stall();
      await write();
      await write();
      await calm.compact(await write());
      break;
    }
    case 'restart': {
      const members = [...cluster.members.values()];
      await members[random.below(members.length)]?.restart();
      break;
    }
  }
  for (let i = random.below(4); i >= 0; i--) await write();
}

export async function mend({ proxy }: Place): Promise<void> {
  proxy.cut();
  await proxy.heal();
}
