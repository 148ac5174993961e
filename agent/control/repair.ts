// What etcd says against what the commits amount to (C4): a key that was changed outside a commit
// has no effect, and is put right. Pure: keys as they were read, and a holder that has folded at
// least as far; what to write is the answer.

import { canonical, toWire } from '../../shared/canonical.ts';
import { linkAt } from '../../shared/control/chain.ts';
import type { Holder } from '../../shared/control/holder.ts';
import { entriesOf, type NodeSource } from '../../shared/control/merkle-map.ts';
import { parseKey } from '../../shared/control/record.ts';
import { entryOf, entryToWire } from '../../shared/control/state.ts';
import { trustAt } from '../../shared/control/trust.ts';
import { adoptTrust } from '../../shared/control/trust-chain.ts';
import type { Crypto } from '../../shared/crypto.ts';
import { type EtcdKeys, normal, readTrustText } from './etcd-keys.ts';

/** One key as etcd has it; null: it is not there. */
export interface Found {
  readonly key: string;
  readonly value: string | null;
  /** When it was last written or deleted, or seen to be missing. */
  readonly modRevision: bigint;
}

export interface Repair extends Found {
  /** What belongs there; null: nothing. */
  readonly expected: string | null;
  /** Kept under `rejected/` before it goes: it may be evidence. */
  readonly keep: boolean;
}

export interface Truth {
  readonly holder: Holder;
  readonly nodes: NodeSource;
  readonly crypto: Crypto;
}

/**
 * null when `found` is as it should be, or is for somebody else to judge. `later`: it differs, and
 * what belongs there is not active yet, so nobody may insist on it.
 */
export function repairOf(found: Found, keys: EtcdKeys, truth: Truth): Repair | 'later' | null {
  const expected = expectedAt(found.key, keys, truth);
  if (expected === undefined || sameText(found.value, expected)) return null;
  if (!isActive(truth.holder)) return 'later';
  const isSigned = [keys.commits, keys.trusts].some((prefix) => found.key.startsWith(prefix));
  return { ...found, expected, keep: isSigned && found.value !== null };
}

/** Does a threshold stand behind all that is held? */
function isActive({ active, state }: Holder): boolean {
  return active !== null && active.digest === state.envelope;
}

export function headText({ state }: Holder): string | null {
  const { envelope, manifest } = state;
  if (envelope === null) return null;
  const { generation, version } = manifest;
  return canonical({ generation, version, envelope });
}

/** undefined: nothing is known about this key. */
function expectedAt(key: string, keys: EtcdKeys, truth: Truth): string | null | undefined {
  if (keys.isJudgedElsewhere(key)) return undefined;
  if (key === keys.head) return headText(truth.holder);
  if (key.startsWith(keys.commits)) return expectedCommit(key, keys, truth.holder);
  if (key.startsWith(keys.trusts)) return expectedTrust(key, keys, truth.holder);
  if (key.startsWith(keys.records)) return expectedRecord(key.slice(keys.records.length), truth);
  return null;
}

/**
 * All keys at which something belongs, in no order: as far back as commits and trust documents are
 * held. The first trust document may be pinned and lie nowhere. Throws MissingNodeError.
 */
export function* expectedKeys(keys: EtcdKeys, truth: Truth): Generator<string> {
  yield* keysOfNone(keys, truth.holder);
  for (const [id, value] of entriesOf(truth.holder.state.manifest.tenants, truth.nodes)) {
    for (const kind of Object.keys(value as object)) yield keys.record(`tenants/${id}/${kind}`);
  }
}

/** Those of no tenant. */
function* keysOfNone(keys: EtcdKeys, { state, chain, trust }: Holder): Generator<string> {
  if (state.envelope !== null) yield keys.head;
  for (const { version } of chain) yield keys.commit(version);
  for (const version of trust.held.keys()) if (version > 1n) yield keys.trust(version);
  for (const [collection, records] of Object.entries(state.global)) {
    for (const id of Object.keys(records)) yield keys.record(`global/${collection}/${id}`);
  }
}

function expectedCommit(key: string, keys: EtcdKeys, holder: Holder): string | null | undefined {
  const version = keys.versionOf(key);
  if (version === null || version === 0n) return null;
  const { manifest } = holder.state;
  // The next one is the follower's to judge. What lies behind a hole is nobody's commit.
  if (version === manifest.version + 1n) return undefined;
  if (version > manifest.version) return null;
  const link = linkAt(holder.chain, manifest.generation, version);
  return link === null ? undefined : canonical(link.jws);
}

/** The next one, and what lies behind a hole, are for the follower to judge when it gets there. */
function expectedTrust(key: string, keys: EtcdKeys, { trust }: Holder): string | null | undefined {
  const version = keys.trustVersionOf(key);
  if (version === null) return null;
  const held = trustAt(trust, version);
  return held === null ? undefined : canonical(held.jws);
}

/**
 * Two documents of one version by a threshold of root keys: agents that hold the one must not write
 * it over the other, or those that hold the other would write it back, for ever (C5).
 */
export async function isForked(found: Found, keys: EtcdKeys, truth: Truth): Promise<boolean> {
  if (found.value === null || !found.key.startsWith(keys.trusts)) return false;
  const { holder, crypto } = truth;
  const { refused } = await adoptTrust(holder.trust, [readTrustText(found.value)], crypto);
  return refused.some(({ code }) => code === 'trust-fork');
}

function expectedRecord(name: string, { holder, nodes, crypto }: Truth): string | null {
  const key = parseKey(name);
  if (key === null) return null;
  if (key.kind === 'global') {
    const records = holder.state.global[key.collection];
    return Object.hasOwn(records, key.id) ? canonical(toWire(records[key.id])) : null;
  }
  const entry = entryOf(holder.state, key.id, nodes, crypto);
  if (entry === null) return null;
  const wire = entryToWire(entry) as { readonly tenant?: unknown; readonly placement: unknown };
  const value = key.kind === 'tenant' ? wire.tenant : wire.placement;
  return value === undefined ? null : canonical(value);
}

function sameText(text: string | null, expected: string | null): boolean {
  if (text === null || expected === null) return text === expected;
  return text === expected || normal(text) === expected;
}
