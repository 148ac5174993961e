// How long rows stay: isolates still walk from older roots, and content comes back (E1, C13). And a
// law beside the tables: whatever tenants come, change, go back to what they were and are lost to
// forks, every piece of what a store holds is there and none of them is on its way out.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Rows } from '../../edge/store/rows.ts';
import { utf8 } from '../../shared/canonical.ts';
import type { Operation } from '../../shared/control/envelope.ts';
import type { Admitted } from '../../shared/control/holder.ts';
import { digestBytes } from '../../shared/digest.ts';
import { CHAIN_LINKS_MAX, NODE_RETENTION_VERSIONS } from '../../shared/limits.ts';
import { SEED } from '../shared/forge.ts';
import { crypto, put, tenantPuts, testTrust } from '../shared/kit.ts';
import { HeldStore, inNewObject } from './held-store.ts';
import { change, Origin } from './origin.ts';

/** Rows and a way to add the next version, which puts and retires pieces by name. */
function withRows(
  work: (
    rows: Rows,
    next: (puts?: readonly string[], retired?: readonly string[]) => bigint,
  ) => void,
): Promise<void> {
  return inNewObject(async (storage) => {
    const rows = new Rows(storage);
    let version = 0n;
    work(rows, (puts = [], retired = []) => {
      version += 1n;
      const pieces = new Map(puts.map((name) => [name, `text of ${name}`]));
      const link = { version, jws: { payload: `${version}` }, manifest: {} };
      rows.store(
        { link, writes: { pieces, nodes: new Map(), retired } } as unknown as Admitted,
        null,
      );
      return version;
    });
  });
}

const TEXT = 'text of a';

describe('a piece', () => {
  test('that a commit replaced is readable for NODE_RETENTION_VERSIONS, and gone after', () =>
    withRows((rows, next) => {
      const root = next(['a']);
      next(['b'], ['a']);
      for (let at = root; at < root + BigInt(NODE_RETENTION_VERSIONS); ) at = next();
      expect(rows.piece('a')).toBe(TEXT);
      next();
      expect([rows.piece('a'), rows.piece('b')]).toEqual([null, 'text of b']);
    }));

  test('that came back is not let go (C13)', () =>
    withRows((rows, next) => {
      next(['a']);
      next(['b'], ['a']);
      next(['a'], ['b']);
      for (let n = 0; n < NODE_RETENTION_VERSIONS + 2; n++) next();
      expect([rows.piece('a'), rows.piece('b')]).toEqual([TEXT, null]);
    }));

  test('that came back and went again counts from then', () =>
    withRows((rows, next) => {
      next(['a']);
      next([], ['a']);
      for (let n = 0; n < NODE_RETENTION_VERSIONS - 1; n++) next();
      next(['a']);
      const last = next([], ['a']);
      for (let at = last; at < last + BigInt(NODE_RETENTION_VERSIONS) - 1n; ) at = next();
      expect(rows.piece('a')).toBe(TEXT);
      next();
      expect(rows.piece('a')).toBeNull();
    }));

  test('that a commit taken back had replaced is in use again', () =>
    withRows((rows, next) => {
      const kept = next(['a']);
      next(['b'], ['a']);
      rows.rewind(kept);
      expect(rows.commits()).toHaveLength(1);
      for (let n = 0; n < NODE_RETENTION_VERSIONS + 2; n++) next();
      expect(rows.piece('a')).toBe(TEXT);
    }));
});

test('commits stay as long as a chain holds them, oldest first', () =>
  withRows((rows, next) => {
    for (let at = 0n; at < BigInt(CHAIN_LINKS_MAX); ) at = next();
    expect(rows.commits()).toHaveLength(CHAIN_LINKS_MAX);
    expect(rows.commits()[0]?.jws).toBe('{"payload":"1"}');
    next();
    expect(rows.commits()).toHaveLength(CHAIN_LINKS_MAX);
    expect(rows.commits()[0]?.jws).toBe('{"payload":"2"}');
  }));

const trust = await testTrust();

interface Step {
  readonly tenant: number;
  /** Which of a tenant's few forms it takes: small, so that old content comes back. */
  readonly form: number;
  readonly latency: number | null;
  /** An undecided commit comes first, and is left. */
  readonly forked: boolean;
}

const steps = fc.array(
  fc.record({
    tenant: fc.nat(24),
    form: fc.nat(2),
    latency: fc.option(fc.nat(1)),
    forked: fc.nat(5).map((n) => n === 0),
  }),
  { minLength: 40, maxLength: 40 },
);

/** What a tenant of that form is; a new one starts at us1. */
function wanted({ tenant, form, latency }: Step, known: Set<number>): readonly Operation[] {
  const id = `t${tenant}`;
  const hosts = Array.from({ length: form + 1 }, (_, i) => `h${i}.${id}.example`);
  const isNew = !known.has(tenant);
  known.add(tenant);
  const records = isNew
    ? tenantPuts(id, { hosts, scope: 'atlantic', home: 'us1' })
    : [put(`tenants/${id}/tenant`, { hosts, scope: 'atlantic', policy: 'std', priority: 1 })];
  return latency === null ? records : [...records, ...change(latency)];
}

/** Digests that a reader can come to from the newest manifest of `origin`. */
function reachable(origin: Origin): readonly string[] {
  const { global, usage, hosts, tenants } = origin.held.holder.state.manifest;
  const found = new Set<string>([global, usage]);
  const queue: string[] = [hosts, tenants];
  for (let digest = queue.pop(); digest !== undefined; digest = queue.pop()) {
    found.add(digest);
    const node = JSON.parse(origin.pieces.get(digest) ?? '') as { branch?: Record<string, string> };
    queue.push(...Object.values(node.branch ?? {}));
  }
  return [...found];
}

function expectWhole(storage: DurableObjectStorage, origin: Origin, at: string): void {
  const rows = storage.sql
    .exec<{ digest: string; text: string }>('SELECT * FROM pieces WHERE retired IS NULL')
    .toArray();
  const live = new Map(rows.map(({ digest, text }) => [digest, text]));
  for (const digest of reachable(origin)) {
    expect(digestBytes(utf8(live.get(digest) ?? ''), crypto), at).toBe(digest);
  }
}

async function walk(storage: DurableObjectStorage, series: readonly Step[]): Promise<void> {
  const held = await HeldStore.open(storage, trust);
  const origin = await Origin.start(trust);
  const known = new Set<number>();
  const bring = async (carried: Origin, from = origin) => {
    held.nowMs += 100;
    const { head } = await held.take({});
    const commits = carried.commits.slice(Number(head?.version ?? 0n));
    return held.take({ commits, attestations: await from.words(held.nowMs) });
  };
  await bring(origin);
  for (const [n, step] of series.entries()) {
    const fork = origin.fork();
    const mirrored = { ...step, form: (step.form + 1) % 3 };
    await fork.commit(wanted(mirrored, new Set(known)));
    if (step.forked) await bring(fork);
    await origin.commit(wanted(step, known));
    await bring(origin);
    const { head } = await bring(origin);
    expect(head?.version, `step ${n}`).toBe(origin.version);
    expectWhole(storage, origin, `step ${n}`);
  }
  await held.open();
  expect(held.alarms().filter((alarm) => alarm !== 'equivocation')).toEqual([]);
}

test('every piece of the newest state is held, whatever led there (C8, C13)', () =>
  fc.assert(
    fc.asyncProperty(steps, (series) => inNewObject((storage) => walk(storage, series))),
    { seed: SEED, numRuns: 2, endOnFailure: true },
  ));
