// Values and deletions as large and as many as etcd takes, written by whoever stole a site's role
// (C4, I16): a nuisance, and nothing that stops agents from reading, committing or putting right.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EtcdError, endOf } from '../../agent/etcd-port.ts';
import {
  ETCD_READ_BYTES_MAX,
  ETCD_RECEIVE_BYTES_MAX,
  ETCD_REQUEST_BYTES_MAX,
  REPAIRS_TURN_MS,
  TOUCHED_KEYS_MAX,
} from '../../agent/limits.ts';
import { utf8 } from '../../shared/canonical.ts';
import { digestBytes } from '../../shared/digest.ts';
import { Cluster, keys } from '../fakes/cluster.ts';
import { priorityOf, settled } from '../fakes/fleet.ts';
import { crypto, SITES, tenantPuts } from '../shared/kit.ts';

let cluster: Cluster;
beforeEach(async () => {
  cluster = await Cluster.afloat();
});
afterEach(() => cluster.close());

/** As long as etcd takes it, so that no request has room for it and three keys. */
const LARGE = 'x'.repeat(ETCD_REQUEST_BYTES_MAX - 64);
/** So many of them are no answer any more. */
const TOO_MANY = Math.ceil(ETCD_RECEIVE_BYTES_MAX / LARGE.length) + 1;

const record = keys.record('tenants/acme/tenant');

describe('a value as large as etcd takes', () => {
  test('in the place of the next commit: it goes, a note is kept, the next one lands', async () => {
    await cluster.write(keys.commit(3n), LARGE);
    await cluster.write(record, '{}');
    await settled();
    await cluster.fleet.round();
    expect(await cluster.at(keys.commit(3n))).toBeNull();
    expect(
      Object.values(await cluster.under(keys.rejected)).map((text) => JSON.parse(text)),
    ).toEqual([{ bytes: LARGE.length, digest: digestBytes(utf8(LARGE), crypto) }]);
    expect(await cluster.at(record)).toContain('acme');
    await cluster.commit(priorityOf(3));
    await cluster.fleet.round(2);
    expect(cluster.fleet.activeAt('us1')).toBe(3n);
  });

  test('in the place of one that had landed: it comes back', async () => {
    const before = await cluster.at(keys.commit(1n));
    await cluster.write(keys.commit(1n), LARGE);
    await settled();
    await cluster.fleet.round();
    expect(await cluster.at(keys.commit(1n))).toBe(before);
    expect(Object.values(await cluster.under(keys.rejected))).toEqual([
      expect.stringContaining(`${LARGE.length}`),
    ]);
  });
});

describe('more large values than one answer takes', () => {
  test.each([
    ['behind the head', (i: number) => keys.commit(3n + BigInt(i))],
    ['behind a hole', (i: number) => keys.commit(4n + BigInt(i))],
    ['where nothing belongs', (i: number) => `${keys.control}notes/${i}`],
  ])('%s: agents go on reading, and all of them go', async (_, nameOf) => {
    const names = Array.from({ length: TOO_MANY }, (_, i) => nameOf(i));
    for (const name of names) await cluster.write(name, LARGE);
    await settled();
    await cluster.fleet.round(TOO_MANY + 2);
    for (const name of names) expect(await cluster.at(name)).toBeNull();
    expect(SITES.flatMap((site) => cluster.fleet.ownAlarms(site))).not.toContain(
      'source-unreadable',
    );
    await cluster.commit(priorityOf(3));
    await cluster.fleet.round(2);
    expect(cluster.fleet.activeAt('us1')).toBe(3n);
  });

  test('that nobody told of are found by the sweep', async () => {
    for (const source of cluster.sources.values()) source.close();
    const names = Array.from({ length: TOO_MANY }, (_, i) => `${keys.control}a/${i}`);
    for (const name of names) await cluster.write(name, LARGE);
    await cluster.write(record, '{}');
    cluster.elapsedMs += 30_000;
    await cluster.fleet.round(3);
    expect(await cluster.at(record)).toContain('acme');
    for (const name of names) expect(await cluster.at(name)).toBeNull();
  });
});

// Attack (I16): values that nobody moves, so that every sweep reads all of them in one turn.
test('a sweep takes in so many bytes, and the next one goes on behind them', async () => {
  const sizes: number[] = [];
  const client = cluster.etcd.client();
  cluster.wrap = {
    range: async (request) => {
      const read = await client.range(request);
      sizes.push(read.kvs.reduce((sum, { value }) => sum + value.length, 0));
      return read;
    },
  };
  for (const source of cluster.sources.values()) source.close();
  for (let i = 0; i < TOO_MANY * 2; i++) await cluster.write(keys.rejectedAt(BigInt(i)), LARGE);
  await cluster.write(`${keys.control}z`, 'behind all of them');
  await cluster.begin('eu1');
  sizes.length = 0;
  await cluster.fleet.turn('eu1');
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  expect(bytes).toBeLessThan(ETCD_READ_BYTES_MAX + ETCD_RECEIVE_BYTES_MAX);
  for (let i = 0; i < 6; i++) {
    cluster.elapsedMs += 30_000;
    await cluster.fleet.round();
  }
  expect(await cluster.at(`${keys.control}z`)).toBeNull();
});

test('a turn that takes long leaves what is left to the next ones', async () => {
  const client = cluster.etcd.client();
  cluster.wrap = {
    txn: (transaction) => {
      cluster.elapsedMs += REPAIRS_TURN_MS / 4;
      return client.txn(transaction);
    },
  };
  await cluster.begin('eu1');
  await cluster.fleet.round(2);
  const names = Array.from({ length: 20 }, (_, i) => `${keys.control}a/${i}`);
  for (const name of names) await cluster.write(name, '');
  await settled();
  const left = async () => Object.keys(await cluster.under(`${keys.control}a/`)).length;
  await cluster.fleet.turn('eu1');
  expect(await left()).toBe(15);
  for (let i = 0; i < 3; i++) await cluster.fleet.turn('eu1');
  expect(await left()).toBe(0);
});

test('a finding that etcd refuses to have put right does not stop the others', async () => {
  const refused = `${keys.control}a`;
  const client = cluster.etcd.client();
  cluster.wrap = {
    txn: async (transaction) => {
      if (transaction.remove.includes(refused)) throw new EtcdError('denied', 'not this one');
      return client.txn(transaction);
    },
  };
  for (const site of SITES) await cluster.begin(site);
  await cluster.fleet.round(2);
  await cluster.write(refused, 'x');
  await cluster.write(record, '{}');
  await settled();
  await cluster.fleet.round();
  expect(await cluster.at(record)).toContain('acme');
});

describe('records deleted', () => {
  const tenants = keys.record('tenants/');
  const all = async () => {
    const range = { from: tenants, to: endOf(tenants), limit: 100_000 };
    const { kvs } = await cluster.calm.range(range);
    return new Map(kvs.map(({ key, value }) => [key, value]));
  };

  test('while nobody was told: the sweep misses them and they come back', async () => {
    for (const source of cluster.sources.values()) source.close();
    const before = await all();
    cluster.etcd.removePrefix(tenants);
    await cluster.fleet.round();
    expect(await all()).toEqual(new Map());
    cluster.elapsedMs += 30_000;
    await cluster.fleet.round();
    expect(await all()).toEqual(before);
  });

  test('what a commit removed stays away', async () => {
    await cluster.commit([{ op: 'delete', key: 'tenants/globex/tenant' }]);
    for (let i = 0; i < 3; i++) {
      cluster.elapsedMs += 30_000;
      await cluster.fleet.round();
    }
    expect(await cluster.at(keys.record('tenants/globex/tenant'))).toBeNull();
    expect(cluster.fleet.ownAlarms('eu1')).toEqual([]);
  });

  test(`more than ${TOUCHED_KEYS_MAX} at once: all come back`, { timeout: 60_000 }, async () => {
    const each = 50;
    for (let first = 0; first * 2 <= TOUCHED_KEYS_MAX; first += each) {
      const some = Array.from({ length: each }, (_, i) => `t${first + i}`);
      await cluster.commit(
        some.flatMap((id) => {
          return tenantPuts(id, { hosts: [`${id}.example`], scope: 'eu', home: 'eu1' });
        }),
      );
    }
    await cluster.fleet.round(2);
    const before = await all();
    expect(before.size).toBeGreaterThan(TOUCHED_KEYS_MAX);
    cluster.etcd.removePrefix(tenants);
    await settled();
    for (let rounds = 0; rounds < 200 && (await all()).size < before.size; rounds++) {
      cluster.elapsedMs += 1_000;
      await cluster.fleet.round();
    }
    expect(await all()).toEqual(before);
  });
});
