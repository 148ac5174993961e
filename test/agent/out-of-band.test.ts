// What somebody with access to etcd writes there has no effect, is alarmed and put right (C1, C4):
// agents on the real loop, each with a source of its own on one etcd in memory.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { COMPACTION_INTERVAL_MS, COMPACTION_MARGIN } from '../../agent/limits.ts';
import { canonical } from '../../shared/canonical.ts';
import { signJws } from '../../shared/control/jws.ts';
import { Cluster, keys } from '../fakes/cluster.ts';
import { priorityOf, settled } from '../fakes/fleet.ts';
import { MemoryKeep } from '../fakes/memory-keep.ts';
import { keyNamed, SITES } from '../shared/kit.ts';

let cluster: Cluster;
beforeEach(async () => {
  cluster = await Cluster.afloat();
});
afterEach(() => cluster.close());

test('commit, head and records land in one transaction', async () => {
  const all = await cluster.under(keys.control);
  expect(Object.keys(all)).toContain(keys.record('tenants/acme/placement'));
  expect(JSON.parse(all[keys.head] ?? '')).toMatchObject({ generation: '1', version: '2' });
  expect(cluster.fleet.activeAt('w1')).toBe(2n);
  // One revision each: two commits, and etcd begins with 1.
  expect(cluster.etcd.revision).toBe(3n);
});

test('the commit index is the revision of its transaction, and the same for every agent', () => {
  for (const site of SITES) {
    expect(cluster.fleet.wordsOf(site).at(-1)).toMatchObject({ version: 2n, commitIndex: 3n });
  }
});

describe('written beside the commits', () => {
  const record = keys.record('tenants/acme/tenant');

  test.each<readonly [string, string, (at: Cluster) => Promise<unknown>]>([
    ['a record that was edited', record, (at) => at.write(record, '{"hosts":["evil.example"]}')],
    ['a record that was deleted', record, (at) => at.remove(record)],
    [
      'a record of nobody',
      keys.record('tenants/evil/tenant'),
      (at) => at.write(keys.record('tenants/evil/tenant'), '{}'),
    ],
    ['a head that was moved', keys.head, (at) => at.write(keys.head, '{"version":"9"}')],
    ['a head that was deleted', keys.head, (at) => at.remove(keys.head)],
    ['a key of nobody', `${keys.control}notes`, (at) => at.write(`${keys.control}notes`, 'hi')],
    [
      'a commit that had landed, replaced',
      keys.commit(1n),
      (at) => at.write(keys.commit(1n), '{}'),
    ],
    ['a commit that had landed, deleted', keys.commit(1n), (at) => at.remove(keys.commit(1n))],
    ['a commit behind a hole', keys.commit(7n), (at) => at.write(keys.commit(7n), '{}')],
    ['a commit under a wrong name', `${keys.commits}3`, (at) => at.write(`${keys.commits}3`, '{}')],
  ])('%s is alarmed and put right, and changes nothing', async (_, key, spoil) => {
    const before = await cluster.at(key);
    await spoil(cluster);
    await settled();
    expect(await cluster.at(key)).not.toBe(before);
    await cluster.fleet.round();
    expect(await cluster.at(key)).toBe(before);
    expect(cluster.fleet.ownAlarms('eu1')).toContain('out-of-band');
    expect(cluster.fleet.activeAt('eu1')).toBe(2n);
    const alarms = cluster.fleet.ownAlarms('eu1').length;
    await cluster.fleet.round(3);
    expect(cluster.fleet.ownAlarms('eu1')).toHaveLength(alarms);
  });

  test('the newest commit replaced: nobody attests another, and it comes back', async () => {
    const before = await cluster.at(keys.commit(2n));
    const rival = await cluster.fleet.rival();
    await cluster.write(keys.commit(2n), canonical(rival.commits[1]));
    await settled();
    await cluster.fleet.round();
    expect(cluster.fleet.ownAlarms('eu1')).toContain('equivocation');
    expect(cluster.fleet.headAt('eu1')).toBe(2n);
    await cluster.fleet.round(2);
    expect(await cluster.at(keys.commit(2n))).toBe(before);
  });

  test('JSON in another spelling is the same', async () => {
    const text = (await cluster.at(record)) ?? '';
    await cluster.write(record, JSON.stringify(JSON.parse(text), null, 2));
    await settled();
    await cluster.fleet.round();
    expect(cluster.fleet.ownAlarms('eu1')).toEqual([]);
  });

  test('what happens while nobody looks is found by the sweep', async () => {
    cluster.etcd.ail(0, 'silent');
    for (const source of cluster.sources.values()) source.close();
    cluster.etcd.ail(0, 'none');
    await cluster.write(record, '{}');
    await cluster.remove(keys.commit(1n));
    await cluster.fleet.round();
    const [first, tenant] = [await cluster.at(keys.commit(1n)), await cluster.at(record)];
    expect([first, tenant]).toEqual([null, '{}']);
    cluster.elapsedMs += 30_000;
    await cluster.fleet.round();
    expect(await cluster.at(keys.commit(1n))).not.toBeNull();
    expect(await cluster.at(record)).toContain('acme');
  });
});

describe('an invalid commit', () => {
  test('is moved to rejected/ with its text, and the next one lands in its place', async () => {
    await cluster.write(keys.commit(3n), '{"payload":"x"}');
    await settled();
    await cluster.fleet.round();
    expect(await cluster.at(keys.commit(3n))).toBeNull();
    expect(Object.values(await cluster.under(keys.rejected))).toEqual(['{"payload":"x"}']);
    expect(cluster.fleet.ownAlarms('eu1')).toContain('malformed');
    await cluster.commit(priorityOf(3));
    await cluster.fleet.round(2);
    expect(cluster.fleet.activeAt('us1')).toBe(3n);
  });

  test('that is an older one, sent again, is moved too', async () => {
    const first = (await cluster.at(keys.commit(1n))) ?? '';
    await cluster.write(keys.commit(3n), first);
    await settled();
    await cluster.fleet.round();
    expect(cluster.fleet.ownAlarms('eu1')).toContain('stale');
    expect(await cluster.at(keys.commit(3n))).toBeNull();
    expect(Object.values(await cluster.under(keys.rejected))).toEqual([first]);
    await cluster.commit(priorityOf(3));
    await cluster.fleet.round(2);
    expect(cluster.fleet.activeAt('us1')).toBe(3n);
  });

  test('of an unknown form by the key of one site stops nobody', async () => {
    const payload = { kind: 'commit', cluster: 'demo', version: '3', novelty: true };
    const stolen = await signJws('portolan-commit+json', payload, [keyNamed('agent w1-1')]);
    await cluster.write(keys.commit(3n), canonical(stolen));
    await settled();
    await cluster.fleet.round();
    expect(await cluster.at(keys.commit(3n))).toBeNull();
    expect(cluster.fleet.wordsOf('eu1').at(-1)).toMatchObject({ version: 2n, mode: 'live' });
  });

  test('of a form that only a later version can read stops the agents there', async () => {
    const payload = { kind: 'commit', cluster: 'demo', version: '3', novelty: true };
    const later = await signJws('portolan-commit+json', payload, [keyNamed('alice')]);
    await cluster.write(keys.commit(3n), canonical(later));
    await settled();
    await cluster.fleet.round();
    expect(await cluster.at(keys.commit(3n))).not.toBeNull();
    expect(cluster.fleet.wordsOf('eu1').at(-1)).toMatchObject({ version: 2n, mode: 'frozen' });
  });
});

describe('history that is gone', () => {
  test('an agent that resumes where it was goes on by its own memory', async () => {
    const { seen } = cluster.sources.get('eu1') ?? { seen: null };
    const keep = cluster.fleet.keeps.eu1;
    await cluster.begin('eu1', seen, keep);
    await cluster.fleet.round(2);
    expect(cluster.fleet.ownAlarms('eu1')).toEqual([]);
  });

  test('past compaction it is silent until other sites attest what it holds', async () => {
    const keep = new MemoryKeep();
    await cluster.begin('eu1', null, keep);
    await cluster.fleet.round(2);
    const since = keep.kept?.revision ?? null;
    expect(since).not.toBeNull();
    for (let i = 0; i < 4; i++) await cluster.commit(priorityOf(i), 'us1');
    cluster.etcd.compact(cluster.etcd.revision);
    cluster.fleet.nowMs += 60_000;
    const before = cluster.fleet.wordsOf('eu1').length;
    await cluster.begin('eu1', since, keep);
    await cluster.fleet.turn('eu1');
    expect(cluster.fleet.wordsOf('eu1')).toHaveLength(before);
    expect(cluster.fleet.ownAlarms('eu1')).toContain('not-attested');
    await cluster.fleet.round(3);
    expect(cluster.fleet.wordsOf('eu1').at(-1)).toMatchObject({ version: 6n });
  });

  test(`goes only ${COMPACTION_MARGIN} revisions behind what live agents stand on`, async () => {
    for (let i = 0n; i < COMPACTION_MARGIN + 5n; i++) await cluster.write('/elsewhere', `${i}`);
    await cluster.commit(priorityOf(3));
    cluster.fleet.nowMs += COMPACTION_INTERVAL_MS;
    await cluster.fleet.round(3);
    cluster.fleet.nowMs += COMPACTION_INTERVAL_MS;
    await cluster.fleet.round();
    const range = { from: keys.head, to: `${keys.head}~`, limit: 1 };
    const index = cluster.fleet.wordsOf('eu1').at(-1)?.commitIndex ?? 0n;
    const last = index - COMPACTION_MARGIN;
    await expect(cluster.calm.range({ ...range, revision: last - 1n })).rejects.toMatchObject({
      code: 'compacted',
    });
    await cluster.calm.range({ ...range, revision: last });
  });
});
