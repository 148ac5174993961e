import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { EtcdCluster, readTls } from '../../agent/adapters/etcd.ts';
import { MemoryEtcd } from '../fakes/memory-etcd.ts';
import { type EtcdAlone, startEtcdAlone } from '../world/etcd-alone.ts';
import { findEtcd, needsEtcd } from '../world/etcd-binary.ts';
import { FaultProxy } from '../world/fault-proxy.ts';
import { until } from '../world/wait.ts';
import { type EtcdRig, etcdContract } from './etcd.ts';
import { dumpOf } from './followed.ts';

async function memoryRig(): Promise<EtcdRig> {
  const cluster = new MemoryEtcd();
  const members = [0, 1, 2];
  return {
    etcd: cluster.client(0),
    calm: cluster.client(1),
    prefix: '/contract/',
    cut: async () => cluster.cut(),
    cutNextReplay: async () => cluster.cutNextWatchAfter(20),
    silence: async () => cluster.ail(0, 'silent'),
    isolate: async () => cluster.ail(0, 'leaderless'),
    loseAnswers: async () => cluster.loseAnswers(1),
    async loseQuorum() {
      cluster.ail(1, 'down');
      cluster.ail(2, 'down');
    },
    async heal() {
      for (const member of members) cluster.ail(member, 'none');
    },
    restart: async () => cluster.restart(),
    async dispose() {},
  };
}

describe('etcd in memory', () => etcdContract(memoryRig, 5_000));

/** Half of the smallest replay that is cut in the suite, 6 MB. */
const CUT_AFTER_BYTES = 3_000_000;

describe('etcd, three members', () => {
  let alone: EtcdAlone | undefined;
  let tests = 0;
  beforeAll(async () => {
    if (findEtcd() !== null) alone = await startEtcdAlone();
  }, 60_000);
  afterAll(() => alone?.stop(), 60_000);
  beforeEach(needsEtcd);

  async function realRig(): Promise<EtcdRig> {
    if (alone === undefined) throw new Error('the cluster was not started');
    const { cluster } = alone;
    const members = [...cluster.members.values()];
    const others = members.slice(1);
    const proxy = await FaultProxy.start(members.map(({ port }) => port));
    const tls = await readTls(cluster.credentials('eu1'));
    const [first, ...direct] = members.map(({ port }) => named(port));
    const etcd = new EtcdCluster({ endpoints: [named(proxy.port), ...direct], tls });
    const calm = new EtcdCluster({ endpoints: [...direct, first ?? ''], tls });
    let broken: 'paused' | 'killed' | null = null;
    const resume = async () => {
      const how = broken;
      broken = null;
      if (how === 'paused') for (const member of others) await member.resume();
      if (how === 'killed') await Promise.all(others.map((member) => member.start()));
      if (how !== null) await cluster.becomeHealthy();
    };
    return {
      etcd,
      calm,
      prefix: `/portolan/demo/control/test-${++tests}/`,
      cut: async () => proxy.cut(),
      async cutNextReplay() {
        proxy.stallAfter(CUT_AFTER_BYTES);
        const stalled = () => proxy.counts().stalled > 0;
        void until('the replay is stalled', stalled, { deadlineMs: 30_000 }).then(async () => {
          proxy.cut();
          await proxy.heal();
        });
      },
      silence: async () => proxy.halfOpen(['to-client', 'to-target']),
      async isolate() {
        broken = 'paused';
        for (const member of others) await member.pause();
      },
      loseAnswers: async () => proxy.halfOpen(['to-client']),
      async loseQuorum() {
        broken = 'killed';
        for (const member of others) await member.kill();
      },
      async heal() {
        await proxy.heal();
        proxy.cut();
        await resume();
      },
      async restart() {
        await Promise.all(members.map((member) => member.restart()));
        await cluster.becomeHealthy();
      },
      async dispose() {
        etcd.close();
        calm.close();
        await proxy.close();
        await resume();
      },
    };
  }

  etcdContract(realRig, 60_000);

  // Attack (I16): a key that is no text, so that whoever reads page by page never gets past it.
  test('a key of any bytes is read past, compared and removed', { timeout: 60_000 }, async () => {
    const { calm, prefix, dispose } = await realRig();
    for (const name of ['a', '\\xff', '\\xff\\xfe']) {
      await alone?.cluster.putBytes('eu1', `${prefix}${name}`, 'x');
    }
    const found = await dumpOf(calm, prefix, 1);
    expect(found.map(({ key }) => key.slice(prefix.length))).toEqual(['a', 'ÿ', 'ÿþ']);
    for (const { key, modRevision } of found) {
      const removal = { compare: [{ key, modRevision }], put: [], remove: [key] };
      expect(await calm.txn(removal)).toMatchObject({ succeeded: true });
    }
    expect(await dumpOf(calm, prefix)).toEqual([]);
    await dispose();
  });
});

/** The client takes names alone: TLS has no server name for an address. */
function named(port: number): string {
  return `https://localhost:${port}`;
}
