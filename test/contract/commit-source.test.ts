import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';
import { ControlDirectory } from '../../agent/adapters/directory.ts';
import { EtcdKeys } from '../../agent/control/etcd-keys.ts';
import { EtcdSource } from '../../agent/control/etcd-source.ts';
import { MemoryEtcd } from '../fakes/memory-etcd.ts';
import { MemorySource } from '../fakes/memory-source.ts';
import { crypto } from '../shared/kit.ts';
import { pause } from '../world/wait.ts';
import { commitSourceContract, type SourceRig } from './commit-source.ts';

async function directoryRig(): Promise<SourceRig> {
  const folder = await mkdtemp(join(tmpdir(), 'portolan-source-'));
  const commits = join(folder, 'commits');
  const path = (version: bigint) => join(commits, `${`${version}`.padStart(16, '0')}.json`);
  return {
    open: () => new ControlDirectory(folder),
    async write(version, text) {
      await mkdir(commits, { recursive: true });
      await writeFile(path(version), text);
    },
    remove: (version) => rm(path(version)),
    // No mode stops root, so the folder is not there but something else is.
    async breakDown() {
      await rename(commits, join(folder, 'aside'));
      await writeFile(commits, 'not a folder');
    },
    async repair() {
      await rm(commits);
      await rename(join(folder, 'aside'), commits);
    },
    dispose: () => rm(folder, { recursive: true, force: true }),
  };
}

async function memoryRig(): Promise<SourceRig> {
  const source = new MemorySource();
  return {
    open: () => source,
    write: async (version, text) => source.write(version, text),
    remove: async (version) => source.remove(version),
    async breakDown() {
      source.broken = 'not a folder';
    },
    async repair() {
      source.broken = null;
    },
    async dispose() {},
  };
}

async function etcdRig(): Promise<SourceRig> {
  const cluster = new MemoryEtcd();
  const keys = new EtcdKeys('test');
  const opened: EtcdSource[] = [];
  const calm = cluster.client();
  return {
    indexed: true,
    open() {
      const source = new EtcdSource('test', null, {
        etcd: cluster.client(),
        hasher: crypto,
        pause,
        trouble: () => {},
        elapsedMs: () => 0,
      });
      opened.push(source);
      return source;
    },
    async write(version, text) {
      await calm.txn({
        compare: [],
        put: [{ key: keys.commit(version), value: text }],
        remove: [],
      });
    },
    async remove(version) {
      await calm.txn({ compare: [], put: [], remove: [keys.commit(version)] });
    },
    async breakDown() {
      for (const member of [0, 1]) cluster.ail(member, 'down');
    },
    async repair() {
      for (const member of [0, 1]) cluster.ail(member, 'none');
    },
    async dispose() {
      for (const source of opened) source.close();
    },
  };
}

describe('an etcd quorum', () => commitSourceContract(etcdRig));
describe('a control directory', () => commitSourceContract(directoryRig));
describe('a source in memory', () => commitSourceContract(memoryRig));
