// `control: etcd` of a world: what agents are given leads to the members, and through the proxy.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type Children, startGuardian } from './children.ts';
import { fileControl, startEtcdControl } from './control.ts';
import { needsEtcd } from './etcd-binary.ts';
import { etcdctl, valueAt } from './etcdctl.ts';
import { isAlive, until } from './wait.ts';

const HEAD = '/portolan/demo/control/head';

async function start() {
  const folder = await mkdtemp(join(tmpdir(), 'portolan-control-'));
  const children: Children = await startGuardian(folder);
  const control = await startEtcdControl({ children, folder, cluster: 'demo' });
  onTestFinished(async () => {
    await control.stop();
    await children.stopAll();
    await rm(folder, { recursive: true, force: true });
  });
  return { control, children };
}

function sectionOf(control: Awaited<ReturnType<typeof start>>['control'], site: 'eu1' | 'us1') {
  const section = control.section(site);
  if (!('etcd' in section)) throw new Error('an etcd was started');
  return section.etcd;
}

test('a site cut off from etcd hears nothing; the others go on', { timeout: 60_000 }, async ({
  skip,
}) => {
  needsEtcd({ skip });
  const { control } = await start();
  const [eu1, us1] = [sectionOf(control, 'eu1'), sectionOf(control, 'us1')];
  expect(eu1.endpoints).toHaveLength(3);
  const [asEu1, asUs1] = [etcdctl(eu1.endpoints, eu1.tls), etcdctl(us1.endpoints, us1.tls)];
  await asEu1('put', HEAD, 'one');
  expect(control.proxies().eu1.counts().accepted).toBeGreaterThan(0);
  expect(control.proxies().us1.counts().accepted).toBe(0);
  control.proxies().eu1.refuse();
  await expect(asEu1('--command-timeout=500ms', 'put', HEAD, 'two')).rejects.toThrow(
    'deadline exceeded',
  );
  expect(await valueAt(asUs1, HEAD)).toBe('one');
  await control.proxies().eu1.heal();
  await asEu1('put', HEAD, 'three');
  expect(await valueAt(asUs1, HEAD)).toBe('three');
});

test('members end with the guardian, and when it is killed', { timeout: 60_000 }, async ({
  skip,
}) => {
  needsEtcd({ skip });
  const { control, children } = await start();
  const pids = [...control.etcd().members.values()].map((member) => member.pid);
  expect(pids.filter(isAlive)).toHaveLength(3);
  process.kill(children.pid, 'SIGKILL');
  const gone = () => [...control.etcd().members.values()].map((member) => member.isHealthy());
  await until('every process is gone', () => !pids.some(isAlive), { deadlineMs: 5_000 });
  const asked = await Promise.allSettled(gone());
  expect(asked.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
});

test('a world with `control: file` has no members, and says so', () => {
  const control = fileControl('/somewhere/control');
  expect(control.section('eu1')).toEqual({ file: '/somewhere/control' });
  expect(() => control.etcd()).toThrow('control: file');
  expect(() => control.proxies().eu1).toThrow('control: file');
});
