// Every record of a state by its key, in wire form, as `show` and `diff` tell of them.

import { canonical, toWire } from '../../shared/canonical.ts';
import { entriesOf } from '../../shared/control/merkle-map.ts';
import { globalKinds } from '../../shared/control/record.ts';
import { readEntry } from '../../shared/control/state.ts';
import type { Change } from './difference.ts';
import type { State } from './state.ts';

export type Records = ReadonlyMap<string, unknown>;

/** Sorted by kind, then by id; tenants last. */
export function recordsOf({ holder, pieces }: State): Records {
  const { global, manifest } = holder.state;
  const records = new Map<string, unknown>();
  for (const kind of globalKinds) {
    const byId: Readonly<Record<string, unknown>> = global[kind];
    for (const id of Object.keys(byId).sort()) {
      records.set(`global/${kind}/${id}`, toWire(byId[id]));
    }
  }
  const entries = [...entriesOf(manifest.tenants, pieces.nodes)];
  for (const [id, value] of entries.sort(([a], [b]) => (a < b ? -1 : 1))) {
    const { tenant, placement } = readEntry(value);
    if (tenant !== undefined) records.set(`tenants/${id}/tenant`, toWire(tenant));
    records.set(`tenants/${id}/placement`, toWire(placement));
  }
  return records;
}

/** What leads from one state to the other; what both have alike is left out. */
export function changesBetween(before: Records, after: Records): readonly Change[] {
  const keys = [...before.keys(), ...[...after.keys()].filter((key) => !before.has(key))];
  return keys.flatMap((key): readonly Change[] => {
    const [was, is] = [before.get(key), after.get(key)];
    if (!after.has(key)) return [{ kind: 'delete', key, before: was }];
    if (!before.has(key)) return [{ kind: 'create', key, after: is }];
    return canonical(was) === canonical(is)
      ? []
      : [{ kind: 'update', key, before: was, after: is }];
  });
}
