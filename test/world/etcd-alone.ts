// A cluster without a world around it, for contract suites and tests.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startGuardian } from './children.ts';
import { EtcdCluster } from './etcd.ts';

export const ALONE_SITES = ['eu1', 'us1', 'w1'] as const;

export type EtcdAlone = {
  readonly cluster: EtcdCluster;
  /** Ends every process and removes the data. */
  stop(): Promise<void>;
};

/** A second or two. Keys begin with `/portolan/demo/`. */
export async function startEtcdAlone(): Promise<EtcdAlone> {
  const folder = await mkdtemp(join(tmpdir(), 'portolan-etcd-'));
  const children = await startGuardian(folder);
  const end = async () => {
    await children.stopAll();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const order = { children, folder: join(folder, 'etcd'), cluster: 'demo', sites: ALONE_SITES };
    const cluster = await EtcdCluster.start(order);
    return { cluster, stop: () => cluster.stop().finally(end) };
  } catch (error) {
    await end();
    throw error;
  }
}
