// A law beside the tables: whatever tenants come, change, go back to what they were and are lost to
// forks, every piece of what a store holds is there and none of them is on its way out.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { utf8 } from '../../shared/canonical.ts';
import type { Operation } from '../../shared/control/envelope.ts';
import { digestBytes } from '../../shared/digest.ts';
import { SEED } from '../shared/forge.ts';
import { crypto, put, tenantPuts, testTrust } from '../shared/kit.ts';
import { HeldStore, inNewObject } from './held-store.ts';
import { change, NOW, Origin } from './origin.ts';

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
  expect(held.nowMs).toBeGreaterThan(NOW);
}

test('every piece of the newest state is held, whatever led there (C8, C13)', () =>
  fc.assert(
    fc.asyncProperty(steps, (series) => inNewObject((storage) => walk(storage, series))),
    { seed: SEED, numRuns: 2, endOnFailure: true },
  ));
