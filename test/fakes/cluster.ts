// Agents on the real loop, each with a source of its own on one etcd in memory.

import { EtcdKeys } from '../../agent/control/etcd-keys.ts';
import { EtcdSource } from '../../agent/control/etcd-source.ts';
import type { Etcd } from '../../agent/etcd-port.ts';
import { commit, crypto, FIRST, SITES, type SiteName } from '../shared/kit.ts';
import { pause } from '../world/wait.ts';
import { Fleet, priorityOf, settled } from './fleet.ts';
import { MemoryEtcd } from './memory-etcd.ts';
import { MemoryKeep } from './memory-keep.ts';

export const keys = new EtcdKeys('demo');

export class Cluster {
  readonly etcd = new MemoryEtcd();
  readonly calm = this.etcd.client();
  readonly fleet = new Fleet();
  readonly sources = new Map<SiteName, EtcdSource>();
  elapsedMs = 0;
  /** What sources that are made from now on see instead of the client's own. */
  wrap: Partial<Etcd> = {};

  /** Every site stands on version 2. */
  static async afloat(): Promise<Cluster> {
    const cluster = new Cluster();
    for (const site of SITES) await cluster.begin(site);
    await cluster.commit(FIRST);
    await cluster.fleet.round(2);
    await cluster.commit(priorityOf(2));
    await cluster.fleet.round(2);
    return cluster;
  }

  async begin(site: SiteName, since: bigint | null = null, keep = new MemoryKeep()): Promise<void> {
    this.sources.get(site)?.close();
    const source = this.source(since);
    this.sources.set(site, source);
    void source.run();
    await settled();
    await this.fleet.begin(site, { ports: { source, keep } });
  }

  source(since: bigint | null): EtcdSource {
    return new EtcdSource('demo', since, {
      etcd: { ...this.etcd.client(), ...this.wrap },
      hasher: crypto,
      pause,
      trouble: () => {},
      elapsedMs: () => this.elapsedMs,
    });
  }

  /** By the whole way: the agent of a site judges and lands it. */
  async commit(operations: Parameters<typeof commit>[1], site: SiteName = 'eu1'): Promise<void> {
    const { author } = this.fleet;
    await commit(author, operations);
    const proposal = await this.fleet.agent(site).propose(author.commits.at(-1));
    if (proposal.kind !== 'landed') throw new Error(JSON.stringify(proposal));
    await settled();
  }

  write(key: string, value: string): Promise<unknown> {
    return this.calm.txn({ compare: [], put: [{ key, value }], remove: [] });
  }

  remove(key: string): Promise<unknown> {
    return this.calm.txn({ compare: [], put: [], remove: [key] });
  }

  async at(key: string): Promise<string | null> {
    const { kvs } = await this.calm.range({ from: key, to: `${key}\0`, limit: 1 });
    return kvs[0]?.value ?? null;
  }

  async under(prefix: string): Promise<Readonly<Record<string, string>>> {
    const { kvs } = await this.calm.range({ from: prefix, to: `${prefix}~`, limit: 1_000 });
    return Object.fromEntries(kvs.map(({ key, value }) => [key, value]));
  }

  close(): void {
    for (const source of this.sources.values()) source.close();
  }
}
