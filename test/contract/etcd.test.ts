import { describe } from 'vitest';
import { MemoryEtcd } from '../fakes/memory-etcd.ts';
import { type EtcdRig, etcdContract } from './etcd.ts';

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
