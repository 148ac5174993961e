// A Merkle map with its nodes, kept as a shell keeps them; and its dumb twin: the tree as the rule
// in C8 reads, built anew from a plain Map each time.

import { canonical, utf8 } from '../../shared/canonical.ts';
import {
  emptyMap,
  type MapEntry,
  type MapName,
  type MapNode,
  type NodeSource,
  nodeDigest,
} from '../../shared/control/merkle-map.ts';
import { type MapUpdate, updateMap } from '../../shared/control/merkle-update.ts';
import { type Digest, digestBytes } from '../../shared/digest.ts';
import { crypto } from './kit.ts';

export type Changes = ReadonlyMap<string, unknown>;

export class MapStore {
  readonly map: MapName;
  readonly held = new Map<Digest, MapNode>();
  root: Digest;

  constructor(map: MapName, entries: Changes = new Map()) {
    this.map = map;
    const empty = emptyMap(map);
    this.root = nodeDigest(empty, crypto);
    this.held.set(this.root, empty);
    if (entries.size > 0) this.apply(entries);
  }

  readonly nodes: NodeSource = (digest) => this.held.get(digest);

  update(changes: Changes): MapUpdate {
    return updateMap(this.map, this.root, changes, this.nodes, crypto);
  }

  /** Keeps what the update wrote and throws away what it retired, at once. */
  apply(changes: Changes): MapUpdate {
    const update = this.update(changes);
    for (const [digest, node] of update.puts) this.held.set(digest, node);
    for (const digest of update.retired) this.held.delete(digest);
    this.root = update.root;
    return update;
  }
}

/** The nodes of the tree over `entries`, by digest, root last. Knows nothing of updates. */
export function twinNodes(map: MapName, entries: Changes): ReadonlyMap<Digest, string> {
  const texts = new Map<Digest, string>();
  const build = (group: readonly MapEntry[], depth: number): Digest => {
    const text = group.length <= 8 ? leafText(group) : branchText(group, depth);
    const digest = digestBytes(utf8(text), crypto);
    texts.set(digest, text);
    return digest;
  };
  const leafText = (group: readonly MapEntry[]) => {
    const sorted = [...group].sort(([a], [b]) => (a < b ? -1 : 1));
    return `{"leaf":${canonical(sorted)},"map":"${map}"}`;
  };
  const branchText = (group: readonly MapEntry[], depth: number) => {
    const byte = ([key]: MapEntry) => crypto.sha256(utf8(key))[depth] ?? 0;
    const steps = [...Map.groupBy(group, byte)].sort(([a], [b]) => a - b);
    const members = steps.map(([step, under]) => {
      return `"${step.toString(16).padStart(2, '0')}":"${build(under, depth + 1)}"`;
    });
    return `{"branch":{${members.join(',')}},"map":"${map}"}`;
  };
  build([...entries], 0);
  return texts;
}

/** The root that the twin comes to. */
export function twinRoot(map: MapName, entries: Changes): Digest {
  const root = [...twinNodes(map, entries).keys()].at(-1);
  if (root === undefined) throw new Error('a tree has a root');
  return root;
}

// Nine keys whose hashes share their first three bytes, d5d571: found by counting the prefixes of
// SHA-256("k0"), SHA-256("k1"), … until one came up for the ninth time.
export const DEEP_KEYS: readonly string[] = [
  'k1261646',
  'k1523058',
  'k2758729',
  'k3409863',
  'k3961596',
  'k4374757',
  'k6282217',
  'k7930381',
  'k9675332',
];
