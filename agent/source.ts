// The source that an agent's configuration names, wired to the real thing.

import { setTimeout as delay } from 'node:timers/promises';
import { nodeCrypto } from './adapters/crypto.ts';
import { ControlDirectory } from './adapters/directory.ts';
import { EtcdCluster, readTls } from './adapters/etcd.ts';
import type { AgentConfig } from './config.ts';
import { EtcdSource } from './control/etcd-source.ts';
import type { AgentPorts, CommitSource } from './ports.ts';

export interface OpenedSource {
  readonly source: CommitSource;
  close(): void;
}

/** `since`: up to which revision of etcd this agent has seen everything; null for a new one. */
export async function openSource(
  cluster: string,
  { control }: Pick<AgentConfig, 'control'>,
  since: bigint | null,
  log: AgentPorts['log'],
): Promise<OpenedSource> {
  if ('file' in control) return { source: new ControlDirectory(control.file), close() {} };
  const { endpoints, tls } = control.etcd;
  const etcd = new EtcdCluster({
    endpoints,
    ...(tls === undefined ? {} : { tls: await readTls(tls) }),
  });
  const source = new EtcdSource(cluster, since, {
    etcd,
    hasher: nodeCrypto,
    elapsedMs: () => performance.now(),
    pause: (ms, signal) => delay(ms, undefined, { signal }).catch(() => {}),
    trouble: (reason) => log({ event: 'watch', reason }),
  });
  void source.run();
  return {
    source,
    close() {
      source.close();
      etcd.close();
    },
  };
}
