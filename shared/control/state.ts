// Control state at one version, as a full holder (agent, store, CLI) has it. The two maps are held
// as nodes beside it (`NodeSource`); their roots are in the manifest.

import { canonical, toWire } from '../canonical.ts';
import type { Hasher } from '../crypto.ts';
import { type Digest, digestOf } from '../digest.ts';
import { type Manifest, manifestDigest, RULES } from './manifest.ts';
import {
  emptyMap,
  find,
  type MapNode,
  MissingNodeError,
  type NodeSource,
  nodeDigest,
} from './merkle-map.ts';
import { EMPTY_GLOBAL, type Global, type TenantEntry, tenantEntrySchema } from './record.ts';
import { EMPTY_USAGE, type Usage } from './usage.ts';

export interface ControlState {
  readonly manifest: Manifest;
  readonly manifestDigest: Digest;
  /** Digest of the envelope that led here; null before the first commit. */
  readonly envelope: Digest | null;
  readonly global: Global;
  readonly usage: Usage;
}

/** What a full holder stores when a commit is accepted, besides the commit itself. */
export interface Writes {
  /** Canonical text of every new piece by its digest: map nodes, the global part, the usage. */
  readonly pieces: ReadonlyMap<Digest, string>;
  readonly nodes: ReadonlyMap<Digest, MapNode>;
  /** Pieces that the new state does not use. */
  readonly retired: readonly Digest[];
}

/** The state before the first commit: a pure function of the cluster's name. */
export function genesis(cluster: string, hasher: Hasher): { state: ControlState; writes: Writes } {
  const nodes = [emptyMap('hosts'), emptyMap('tenants')] as const;
  const [hosts, tenants] = [nodeDigest(nodes[0], hasher), nodeDigest(nodes[1], hasher)];
  const manifest: Manifest = {
    kind: 'manifest',
    cluster,
    generation: 1n,
    version: 0n,
    lamport: 0n,
    rules: RULES,
    trust: 1n,
    previous: null,
    global: digestOf(EMPTY_GLOBAL, hasher),
    usage: digestOf(EMPTY_USAGE, hasher),
    hosts,
    tenants,
    filter: null,
  };
  const state: ControlState = {
    manifest,
    manifestDigest: manifestDigest(manifest, hasher),
    envelope: null,
    global: EMPTY_GLOBAL,
    usage: EMPTY_USAGE,
  };
  const pieces = new Map([
    [hosts, canonical(nodes[0])],
    [tenants, canonical(nodes[1])],
    [manifest.global, canonical(EMPTY_GLOBAL)],
    [manifest.usage, canonical(EMPTY_USAGE)],
  ]);
  const byDigest = new Map<Digest, MapNode>([
    [hosts, nodes[0]],
    [tenants, nodes[1]],
  ]);
  return { state, writes: { pieces, nodes: byDigest, retired: [] } };
}

const parsedEntries = new WeakMap<object, TenantEntry>();

/** A tenants' map value, parsed once for as long as its node is held. */
export function readEntry(value: unknown): TenantEntry {
  const held = typeof value === 'object' && value !== null ? parsedEntries.get(value) : undefined;
  if (held !== undefined) return held;
  const entry = tenantEntrySchema.parse(value);
  parsedEntries.set(value as object, entry);
  return entry;
}

/** The tenant's entry at this state, for a full holder; null when there never was one. */
export function entryOf(
  state: ControlState,
  tenant: string,
  nodes: NodeSource,
  hasher: Hasher,
): TenantEntry | null {
  const found = find(state.manifest.tenants, tenant, nodes, hasher);
  if (found.kind === 'missing') throw new MissingNodeError(found.digest);
  return found.kind === 'absent' ? null : readEntry(found.value);
}

export function entryToWire(entry: TenantEntry): unknown {
  return toWire(entry);
}
