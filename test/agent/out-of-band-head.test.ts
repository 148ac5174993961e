// The newest commit taken away in etcd (C4, C13, I16): it comes back where a threshold stands
// behind it, nothing lands on top of the hole, and a store that was restored is left for a person.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TOUCHED_KEYS_MAX } from '../../agent/limits.ts';
import type { Jws } from '../../shared/control/jws.ts';
import { Cluster, keys } from '../fakes/cluster.ts';
import { priorityOf, settled } from '../fakes/fleet.ts';
import { commit, SITES } from '../shared/kit.ts';

let cluster: Cluster;
beforeEach(async () => {
  cluster = await Cluster.afloat();
});
afterEach(() => cluster.close());

/** The next commit by its author, who knows of nothing. */
async function nextCommit(): Promise<Jws | undefined> {
  await commit(cluster.fleet.author, priorityOf(3));
  return cluster.fleet.author.commits.at(-1);
}

async function deleteCommit(version: bigint): Promise<void> {
  await cluster.remove(keys.commit(version));
  await settled();
}

describe('the newest commit deleted', () => {
  test('it is alarmed and comes back, and the next one lands', async () => {
    const before = await cluster.at(keys.commit(2n));
    await deleteCommit(2n);
    await cluster.fleet.round();
    expect(await cluster.at(keys.commit(2n))).toBe(before);
    expect(cluster.fleet.ownAlarms('eu1')).toEqual(
      expect.arrayContaining(['rollback', 'out-of-band']),
    );
    await cluster.fleet.round();
    const alarms = cluster.fleet.ownAlarms('eu1').length;
    await cluster.commit(priorityOf(3));
    await cluster.fleet.round(2);
    expect(SITES.map((site) => cluster.fleet.activeAt(site))).toEqual([3n, 3n, 3n]);
    expect(cluster.fleet.ownAlarms('eu1')).toHaveLength(alarms);
  });

  test('while the stream is dead it comes back all the same', async () => {
    for (const source of cluster.sources.values()) source.close();
    await deleteCommit(2n);
    await cluster.fleet.round();
    expect(await cluster.at(keys.commit(2n))).not.toBeNull();
  });

  test('and the one before it too: both come back', async () => {
    await deleteCommit(1n);
    await deleteCommit(2n);
    await cluster.fleet.round(2);
    expect(Object.keys(await cluster.under(keys.commits))).toEqual([1n, 2n].map(keys.commit, keys));
  });

  // Attack: whoever deletes it writes on, so that it never has its turn among all those keys.
  test.each([
    ['deleted', () => deleteCommit(2n)],
    ['replaced', () => cluster.write(keys.commit(2n), '{}')],
  ])('%s, and a flood of keys behind it: it comes back at once', async (_, spoil) => {
    const before = await cluster.at(keys.commit(2n));
    await spoil();
    for (let i = 0; i < TOUCHED_KEYS_MAX; i++) await cluster.write(`${keys.control}a/${i}`, '');
    await settled();
    await cluster.fleet.round();
    expect(await cluster.at(keys.commit(2n))).toBe(before);
  });

  test.each([
    ['the agent has not looked', async () => {}],
    ['the agent has seen it', () => cluster.fleet.agent('eu1').catchUp()],
  ])('the next one does not land behind the hole: %s', async (_, look) => {
    const next = await nextCommit();
    await deleteCommit(2n);
    await look();
    expect(await cluster.fleet.agent('eu1').propose(next)).toMatchObject({ code: 'rollback' });
    expect(await cluster.at(keys.commit(3n))).toBeNull();
    await cluster.fleet.round(2);
    expect(await cluster.fleet.agent('eu1').propose(next)).toMatchObject({ kind: 'landed' });
  });

  test('nobody says that it has landed while it is gone', async () => {
    await deleteCommit(2n);
    await cluster.fleet.agent('eu1').catchUp();
    const [, second] = cluster.fleet.author.commits;
    expect(await cluster.fleet.agent('eu1').propose(second)).toMatchObject({ code: 'rollback' });
  });

  // No threshold stands behind it: whoever folded it may be the only one who ever saw it.
  test('before it was active: it is not written back', async () => {
    await cluster.commit(priorityOf(3));
    await cluster.fleet.turn('eu1');
    cluster.fleet.wire.length = 0;
    await deleteCommit(3n);
    await cluster.fleet.turn('eu1');
    expect(cluster.fleet.ownAlarms('eu1')).toContain('rollback');
    expect(await cluster.at(keys.commit(3n))).toBeNull();
  });

  test('another in its place: nothing lands on top of that', async () => {
    const next = await nextCommit();
    await cluster.write(keys.commit(2n), '{}');
    await settled();
    await cluster.fleet.agent('eu1').catchUp();
    expect(await cluster.fleet.agent('eu1').propose(next)).toMatchObject({ code: 'rollback' });
    expect(await cluster.at(keys.commit(3n))).toBeNull();
  });
});

describe('etcd restored from an older state (C13)', () => {
  beforeEach(async () => {
    cluster.etcd.restore(2n);
    await cluster.fleet.round();
  });

  test('is written to by nobody, also when it has come as far again', async () => {
    for (let i = 0; i < 20; i++) await cluster.write('/elsewhere', `${i}`);
    await settled();
    cluster.elapsedMs += 30_000;
    await cluster.fleet.round(3);
    expect(await cluster.at(keys.commit(2n))).toBeNull();
    expect(cluster.fleet.ownAlarms('eu1')).toContain('rollback');
    expect(cluster.fleet.ownAlarms('eu1')).not.toContain('out-of-band');
    expect(cluster.fleet.wordsOf('eu1').at(-1)).toMatchObject({ version: 2n, mode: 'frozen' });
  });

  test('takes no commit', async () => {
    const next = await nextCommit();
    expect(await cluster.fleet.agent('eu1').propose(next)).toMatchObject({ code: 'rollback' });
    expect(await cluster.at(keys.commit(3n))).toBeNull();
  });

  test('goes on when somebody brings back what is missing', async () => {
    for (let i = 0; i < 20; i++) await cluster.write('/elsewhere', `${i}`);
    const [, second] = cluster.fleet.author.commits;
    await cluster.write(keys.commit(2n), JSON.stringify(second));
    await cluster.fleet.round(2);
    await cluster.commit(priorityOf(3));
    await cluster.fleet.round(2);
    expect(cluster.fleet.activeAt('us1')).toBe(3n);
  });
});
