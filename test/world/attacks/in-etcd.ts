// Writing past Portolan: with the certificate of a site or of the operators, by etcd's own client.
// What is seen of it: the alarms that agents raise, that every key is again what it was, and what
// was kept as evidence.

import { EtcdKeys } from '../../../agent/control/etcd-keys.ts';
import { SITES } from '../demo.ts';
import { until } from '../wait.ts';
import { type Bench, NOTICE_DEADLINE_MS } from './bench.ts';
import { CONTROL, type Dump, differences, dumpOf } from './standing.ts';

export const keys = new EtcdKeys('demo');

export type Written = {
  readonly key: string;
  /** null: deleted. */
  readonly value: string | null;
};

/**
 * `agents: signature; put right; rejected`: the codes of the alarms that any agent raised, whether
 * all keys are as before, and whether the text lies under `rejected/`. What is left is taken away.
 */
export async function seenInEtcd(
  bench: Bench,
  user: string,
  { key, value }: Written,
): Promise<string> {
  const { etcd } = bench.world;
  const before = await dumpOf(bench.world);
  const counts = await countsOf(bench);
  if (value === null) await etcd.as(user)('del', key);
  else await etcd.put(user, key, value);
  const codes = await alarmed(bench, counts);
  const after = await putRight(bench, before);
  const left = differences(before, after);
  for (const name of left) await restore(bench, `${CONTROL}${name}`, before);
  const risen = new Set([...codes, ...raised(counts, await countsOf(bench))]);
  // It comes with everything that is put right.
  if (risen.size > 1) risen.delete('out-of-band');
  const parts = [
    `agents: ${[...risen].sort().join(' ')}`,
    left.length === 0 ? 'put right' : `left: ${left.join(' ')}`,
    ...(isRejected(value, before, after) ? ['rejected'] : []),
  ];
  return parts.join('; ');
}

type Counts = readonly Readonly<Record<string, number>>[];

async function countsOf({ world }: Bench): Promise<Counts> {
  const statuses = await Promise.all(SITES.map((site) => world.agentStatus(site)));
  return statuses.map(({ alarms }) => alarms as Readonly<Record<string, number>>);
}

/** Codes of which any agent counts more. */
function raised(before: Counts, after: Counts): readonly string[] {
  return after.flatMap((counts, i) => {
    return Object.keys(counts).filter((code) => (counts[code] ?? 0) > (before[i]?.[code] ?? 0));
  });
}

async function alarmed(bench: Bench, before: Counts): Promise<readonly string[]> {
  const seen = async () => {
    const codes = raised(before, await countsOf(bench));
    return codes.length > 0 ? codes : null;
  };
  return until('an alarm', seen, { deadlineMs: NOTICE_DEADLINE_MS }).catch(() => []);
}

async function putRight({ world }: Bench, before: Dump): Promise<Dump> {
  let last = before;
  const isRight = async () => {
    last = await dumpOf(world);
    return differences(before, last).length === 0;
  };
  await until('every key as before', isRight, { deadlineMs: NOTICE_DEADLINE_MS }).catch(() => {});
  return last;
}

async function restore({ world }: Bench, key: string, before: Dump): Promise<void> {
  const value = before.kept.get(key);
  if (value === undefined) await world.etcd.as('operator')('del', key);
  else await world.etcd.put('operator', key, value);
}

function isRejected(value: string | null, before: Dump, after: Dump): boolean {
  const copies = ({ rejected }: Dump) => rejected.filter((text) => text === value).length;
  return value !== null && copies(after) > copies(before);
}
