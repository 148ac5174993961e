// Editing a Merkle map: new nodes in, superseded nodes out, everything else shared. One edit among
// 100,000 entries rewrites one leaf and two branches (about 25 KB), which is what keeps a commit
// small in every store (the bound is 64 KiB; test/agent/merkle-size.test.ts).

import type { Hasher } from '../crypto.ts';
import type { Digest } from '../digest.ts';
import { MAP_LEAF_ENTRIES_MAX } from '../limits.ts';
import {
  childOf,
  emptyMap,
  type MapBranch,
  type MapEntry,
  type MapName,
  type MapNode,
  MissingNodeError,
  type NodeSource,
  nodeDigest,
  pathOf,
  stepOf,
} from './merkle-map.ts';

export interface MapUpdate {
  readonly root: Digest;
  readonly puts: ReadonlyMap<Digest, MapNode>;
  /** Nodes of the old map that the new one does not use. */
  readonly retired: readonly Digest[];
}

interface Change {
  readonly path: string;
  readonly key: string;
  /** undefined deletes. */
  readonly value: unknown;
}

/**
 * The map under `root` with `changes` made: a value puts, `undefined` deletes. Throws
 * MissingNodeError when a node on the way is not at hand.
 */
export function updateMap(
  map: MapName,
  root: Digest,
  changes: ReadonlyMap<string, unknown>,
  nodes: NodeSource,
  hasher: Hasher,
): MapUpdate {
  const editor = new MapEditor(map, nodes, hasher);
  const list = [...changes].map(([key, value]) => ({ path: pathOf(key, hasher), key, value }));
  return editor.run(root, list);
}

/** Bookkeeping of one update: what it wrote and what it replaced. */
class MapEditor {
  readonly #map: MapName;
  readonly #nodes: NodeSource;
  readonly #hasher: Hasher;
  readonly #puts = new Map<Digest, MapNode>();
  readonly #retired = new Set<Digest>();

  constructor(map: MapName, nodes: NodeSource, hasher: Hasher) {
    this.#map = map;
    this.#nodes = nodes;
    this.#hasher = hasher;
  }

  run(root: Digest, changes: readonly Change[]): MapUpdate {
    const node = this.#take(root);
    const next = this.#put(this.#edit(node, 0, changes));
    return { root: next, puts: this.#puts, retired: [...this.#retired] };
  }

  #edit(node: MapNode, depth: number, changes: readonly Change[]): MapNode {
    if ('leaf' in node) return this.#build(edited(node.leaf, changes), depth);
    const branch: Record<string, Digest> = { ...node.branch };
    for (const [step, group] of Map.groupBy(changes, ({ path }) => stepOf(path, depth))) {
      const held = childOf(node, step);
      const child = held === undefined ? emptyMap(this.#map) : this.#take(held);
      const next = this.#edit(child, depth + 1, group);
      if ('leaf' in next && next.leaf.length === 0) delete branch[step];
      else branch[step] = this.#put(next);
    }
    return this.#collapsed({ map: this.#map, branch });
  }

  /** A branch whose entries fit one leaf is that leaf; at most 9 children are looked at. */
  #collapsed(node: MapBranch): MapNode {
    const entries: MapEntry[] = [];
    const children = Object.values(node.branch);
    if (children.length > MAP_LEAF_ENTRIES_MAX) return node;
    for (const digest of children) {
      const child = this.#read(digest);
      if (!('leaf' in child)) return node;
      entries.push(...child.leaf);
      if (entries.length > MAP_LEAF_ENTRIES_MAX) return node;
    }
    for (const digest of children) this.#retire(digest);
    return { map: this.#map, leaf: entries.sort(byKey) };
  }

  #build(entries: readonly MapEntry[], depth: number): MapNode {
    if (entries.length <= MAP_LEAF_ENTRIES_MAX) return { map: this.#map, leaf: entries };
    const groups = Map.groupBy(entries, ([key]) => stepOf(pathOf(key, this.#hasher), depth));
    const branch: Record<string, Digest> = {};
    for (const [step, group] of groups) branch[step] = this.#put(this.#build(group, depth + 1));
    return { map: this.#map, branch };
  }

  #read(digest: Digest): MapNode {
    const node = this.#puts.get(digest) ?? this.#nodes(digest);
    if (node === undefined) throw new MissingNodeError(digest);
    return node;
  }

  /** Reads a node that is about to be replaced. */
  #take(digest: Digest): MapNode {
    const node = this.#read(digest);
    this.#retire(digest);
    return node;
  }

  #retire(digest: Digest): void {
    if (!this.#puts.delete(digest)) this.#retired.add(digest);
  }

  #put(node: MapNode): Digest {
    const digest = nodeDigest(node, this.#hasher);
    // An edit that changes nothing comes back to the node it took.
    if (!this.#retired.delete(digest)) this.#puts.set(digest, node);
    return digest;
  }
}

function edited(entries: readonly MapEntry[], changes: readonly Change[]): readonly MapEntry[] {
  const byName = new Map(entries);
  for (const { key, value } of changes) {
    if (value === undefined) byName.delete(key);
    else byName.set(key, value);
  }
  return [...byName].sort(byKey);
}

function byKey([a]: MapEntry, [b]: MapEntry): number {
  return a < b ? -1 : 1;
}
