// Control state without signatures: what commits lead to, for tests of the fold and its checks.

import { canonical, utf8Length } from '../../shared/canonical.ts';
import type { Operation } from '../../shared/control/envelope.ts';
import { find, type NodeSource } from '../../shared/control/merkle-map.ts';
import type { TenantEntry } from '../../shared/control/record.ts';
import type { Refusal } from '../../shared/control/refusal.ts';
import { entryOf } from '../../shared/control/state.ts';
import { type Accepted, draft } from '../../shared/control/validity.ts';
import { crypto, newHolder, put, type TestHolder, tenantPuts, testTrust } from './kit.ts';

const trust = await testTrust();

export function nodesOf(held: TestHolder): NodeSource {
  return (digest) => held.nodes.get(digest);
}

export function drafted(held: TestHolder, operations: readonly Operation[]): Accepted | Refusal {
  const { state, trust: own } = held.holder;
  return draft(state, operations, own, nodesOf(held), crypto);
}

/** Throws where one commit is refused. */
export function worldOf(...commits: readonly (readonly Operation[])[]): TestHolder {
  const held = newHolder(trust);
  for (const operations of commits) step(held, operations);
  return held;
}

export function step(held: TestHolder, operations: readonly Operation[]): Accepted {
  const outcome = drafted(held, operations);
  if (outcome.kind === 'refused') throw new Error(`${outcome.code}: ${outcome.detail}`);
  for (const [digest, node] of outcome.writes.nodes) held.nodes.set(digest, node);
  held.holder = { ...held.holder, state: outcome.state };
  return outcome;
}

export function entryFor(held: TestHolder, id: string): TenantEntry | null {
  return entryOf(held.holder.state, id, nodesOf(held), crypto);
}

/** The tenant of a host, or `absent`. */
export function ownerOf(held: TestHolder, host: string): unknown {
  const found = find(held.holder.state.manifest.hosts, host, nodesOf(held), crypto);
  return found.kind === 'present' ? found.value : found.kind;
}

export function del(key: string): Operation {
  return { op: 'delete', key };
}

/** A tenant of scope `atlantic` in another form. */
export function tenantPut(id: string, ...hosts: readonly string[]): Operation {
  return put(`tenants/${id}/tenant`, { hosts, scope: 'atlantic', policy: 'std', priority: 1 });
}

/** A tenant of scope `atlantic` appears at us1. */
export function newTenant(id: string, ...hosts: readonly string[]): readonly Operation[] {
  return tenantPuts(id, { hosts, scope: 'atlantic', home: 'us1' });
}

/** A session path may have 8 KiB; the bytes of a policy are in many of half that. */
const PATH_BYTES = 4_000;

/** A policy whose canonical form has exactly `bytes` bytes; `mark` tells it from others. */
export function policyOfBytes(bytes: number, mark = 'a'): unknown {
  const policy = (sessionPaths: readonly string[]) => ({
    replicaReads: true,
    mode: 'enforce',
    hardAgeS: { write: 60, read: 300, revocation: 60 },
    slowStartS: 60,
    sessionPaths,
  });
  const paths: string[] = [];
  for (;;) {
    const left = bytes - utf8Length(canonical(policy([...paths, '/'])));
    if (left <= PATH_BYTES) return policy([...paths, `/${mark}`.padEnd(left + 1, 'a')]);
    paths.push(`/${mark}`.padEnd(Math.min(PATH_BYTES, left - 200), 'a'));
  }
}
