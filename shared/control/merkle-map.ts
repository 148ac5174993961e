// A map whose root digest commits to its whole content, so that a reader who trusts the root can
// load, verify and keep only the entries it serves, and can prove that an entry is absent (C8).
//
// A 256-ary tree by the bytes of SHA-256(key). A subtree with 8 entries or fewer is one leaf, so
// the shape, and with it the root, depends on the set of entries alone: no order of edits shows.
// Nodes are named by their digest and carry the map's name, so a node of one map never stands in
// another. Rejected: a binary tree (many more loads), a sorted B-tree (its shape depends on
// history).

import { canonical, parseCanonical, parseJson, utf8 } from '../canonical.ts';
import type { Hasher } from '../crypto.ts';
import { type Digest, digestBytes, isDigest } from '../digest.ts';
import { MAP_LEAF_ENTRIES_MAX } from '../limits.ts';
import { type Refusal, refuse } from './refusal.ts';

export type MapName = 'hosts' | 'tenants';

/** Values are in wire form (JSON), entries sorted by key. */
export type MapEntry = readonly [key: string, value: unknown];

export interface MapLeaf {
  readonly map: MapName;
  readonly leaf: readonly MapEntry[];
}

export interface MapBranch {
  readonly map: MapName;
  /** Child digests by the next byte of the key's hash, in hex. */
  readonly branch: Readonly<Record<string, Digest>>;
}

export type MapNode = MapLeaf | MapBranch;

/** Nodes at hand, already verified against the digest that names them. */
export type NodeSource = (digest: Digest) => MapNode | undefined;

export type Found =
  | { readonly kind: 'present'; readonly value: unknown }
  | { readonly kind: 'absent' }
  /** The walk needs this node first. */
  | { readonly kind: 'missing'; readonly digest: Digest };

/** Looks `key` up under `root`; absence is proven by the leaf, or by the branch without a child. */
export function find(root: Digest, key: string, nodes: NodeSource, hasher: Hasher): Found {
  const path = pathOf(key, hasher);
  let digest = root;
  for (let depth = 0; ; depth++) {
    const node = nodes(digest);
    if (node === undefined) return { kind: 'missing', digest };
    if ('leaf' in node) {
      const entry = node.leaf.find(([name]) => name === key);
      return entry === undefined ? { kind: 'absent' } : { kind: 'present', value: entry[1] };
    }
    const child = childOf(node, stepOf(path, depth));
    if (child === undefined) return { kind: 'absent' };
    digest = child;
  }
}

/** The nodes that prove presence or absence of `key`, root first; null if one is not at hand. */
export function prove(
  root: Digest,
  key: string,
  nodes: NodeSource,
  hasher: Hasher,
): readonly MapNode[] | null {
  const proof: MapNode[] = [];
  const found = find(
    root,
    key,
    (digest) => {
      const node = nodes(digest);
      if (node !== undefined) proof.push(node);
      return node;
    },
    hasher,
  );
  return found.kind === 'missing' ? null : proof;
}

/** What `proof` says of `key` under `root`. Refusal: digest, when it does not lead to an answer. */
export function checkProof(
  root: Digest,
  key: string,
  proof: readonly MapNode[],
  hasher: Hasher,
): Exclude<Found, { kind: 'missing' }> | Refusal {
  const byDigest = new Map<Digest, MapNode>();
  for (const node of proof) {
    // What has no canonical form names nothing.
    const value = parseJson(JSON.stringify(node))?.value;
    if (isMapNode(value, 'hosts') || isMapNode(value, 'tenants')) {
      byDigest.set(nodeDigest(value, hasher), value);
    }
  }
  const found = find(root, key, (digest) => byDigest.get(digest), hasher);
  if (found.kind === 'missing') return refuse('digest', `no node ${found.digest} in the proof`);
  return found;
}

/** All entries under `root` in no useful order; throws when a node is not at hand. */
export function* entriesOf(root: Digest, nodes: NodeSource): Generator<MapEntry> {
  const node = nodes(root);
  if (node === undefined) throw new MissingNodeError(root);
  if ('leaf' in node) {
    yield* node.leaf;
    return;
  }
  for (const child of Object.values(node.branch)) yield* entriesOf(child, nodes);
}

export function emptyMap(map: MapName): MapLeaf {
  return { map, leaf: [] };
}

export function nodeDigest(node: MapNode, hasher: Hasher): Digest {
  return digestBytes(utf8(canonical(node)), hasher);
}

/** Reads a node that was asked for by `digest`. Refusals: digest, malformed. */
export function readNode(
  bytes: Uint8Array,
  digest: Digest,
  map: MapName,
  hasher: Hasher,
): MapNode | Refusal {
  if (digestBytes(bytes, hasher) !== digest) return refuse('digest', `not the node ${digest}`);
  const value = parseCanonical(bytes)?.value;
  if (!isMapNode(value, map)) return refuse('malformed', `${digest} is not a node of ${map}`);
  return value;
}

/** A full holder lacks one of its own nodes: its storage is damaged, nothing can be folded. */
export class MissingNodeError extends Error {
  override readonly name = 'MissingNodeError';
  readonly digest: Digest;
  constructor(digest: Digest) {
    super(`map node ${digest} is not stored`);
    this.digest = digest;
  }
}

/** First two hex digits at `depth` of the key's path. */
export function stepOf(path: string, depth: number): string {
  return path.slice(depth * 2, depth * 2 + 2);
}

export function pathOf(key: string, hasher: Hasher): string {
  return hasher.sha256(utf8(key)).toHex();
}

export function childOf(node: MapBranch, step: string): Digest | undefined {
  return Object.hasOwn(node.branch, step) ? node.branch[step] : undefined;
}

function isMapNode(value: unknown, map: MapName): value is MapNode {
  if (value === null || typeof value !== 'object') return false;
  if (!('map' in value) || value.map !== map || Object.keys(value).length !== 2) return false;
  if ('leaf' in value) return isLeaf(value.leaf);
  if (!('branch' in value)) return false;
  const { branch } = value;
  if (branch === null || typeof branch !== 'object' || Array.isArray(branch)) return false;
  return Object.entries(branch).every(
    ([step, digest]) =>
      /^[0-9a-f]{2}$/.test(step) && typeof digest === 'string' && isDigest(digest),
  );
}

function isLeaf(leaf: unknown): boolean {
  return (
    Array.isArray(leaf) &&
    leaf.length <= MAP_LEAF_ENTRIES_MAX &&
    leaf.every((e) => Array.isArray(e) && e.length === 2 && typeof e[0] === 'string')
  );
}
