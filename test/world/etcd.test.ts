import { readFile } from 'node:fs/promises';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { makeAuthority } from './certificates.ts';
import type { EtcdCluster } from './etcd.ts';
import { type EtcdAlone, startEtcdAlone } from './etcd-alone.ts';
import { findEtcd, needsEtcd } from './etcd-binary.ts';
import type { EtcdMember } from './etcd-member.ts';
import { valueAt } from './etcdctl.ts';
import { until } from './wait.ts';

const START_MS = 60_000;
const HEAD = '/portolan/demo/control/head';

beforeEach(needsEtcd);

describe('one cluster', { timeout: 30_000 }, () => {
  let alone: EtcdAlone;
  let cluster: EtcdCluster;

  beforeAll(async () => {
    if (findEtcd() === null) return;
    alone = await startEtcdAlone();
    cluster = alone.cluster;
  }, START_MS);
  afterAll(() => alone?.stop());
  beforeEach(() => cluster?.becomeHealthy());

  test('what is written at one member is read at every other', async () => {
    const [first = '', ...others] = cluster.endpoints();
    expect(others).toHaveLength(2);
    await cluster.as('eu1', [first])('put', HEAD, 'one');
    for (const endpoint of others) {
      expect(await valueAt(cluster.as('us1', [endpoint]), HEAD)).toBe('one');
    }
  });

  test('a client without a certificate, or with one of somebody else, is refused', async () => {
    const [endpoint] = cluster.endpoints();
    const { ca, cert, key } = cluster.credentials('eu1');
    const own = { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') };
    const foreign = await (await makeAuthority()).issueClient('root');
    const ask = async (credential: object) => {
      const connect = { ca: await readFile(ca, 'utf8'), ...credential };
      const dispatcher = new Agent({ connect });
      onTestFinished(() => dispatcher.destroy());
      const { statusCode, body } = await request(`${endpoint}/health`, { dispatcher });
      await body.dump();
      return statusCode;
    };
    expect(await ask(own)).toBe(200);
    await expect(ask({})).rejects.toThrow();
    await expect(ask(foreign)).rejects.toThrow();
  });

  test.each([
    ['eu1', 'put', '/portolan/demo/control/commits/1', true],
    ['eu1', 'put', '/portolan/demo/sites/eu1/lease', true],
    ['eu1', 'get', '/portolan/demo/sites/us1/lease', true],
    ['eu1', 'put', '/portolan/demo/sites/us1/lease', false],
    ['eu1', 'put', '/portolan/demo/sites/eu11/lease', false],
    ['eu1', 'put', '/portolan/demo/receipts/edge/fra', true],
    ['eu1', 'put', '/portolan/other/control/head', false],
    ['eu1', 'get', '/portolan/other/control/head', false],
    ['operator', 'put', '/portolan/demo/control/head', true],
    ['operator', 'put', '/portolan/demo/sites/eu1/lease', false],
    ['root', 'put', '/portolan/other/control/head', true],
  ])('%s may %s %s: %s', async (user, verb, key, may) => {
    const asked = cluster.as(user)(...(verb === 'put' ? ['put', key, 'x'] : ['get', key]));
    if (may) await asked;
    else await expect(asked).rejects.toThrow('permission denied');
  });

  test('a site without the root certificate cannot widen its own role', async () => {
    const grant = ['role', 'grant-permission', 'eu1', '--prefix=true', 'readwrite', '/'];
    await expect(cluster.as('eu1')(...grant)).rejects.toThrow('permission denied');
  });

  test('a killed member comes back at its port with what was written meanwhile', async () => {
    const member = cluster.member('us1');
    const { endpoint } = member;
    expect(await member.kill()).toEqual({ code: null, signal: 'SIGKILL' });
    await expect(member.isHealthy()).rejects.toThrow();
    const others = cluster.endpoints().filter((other) => other !== endpoint);
    await until('the others go on', () => cluster.as('eu1', others)('put', HEAD, 'two'), ONCE);
    await member.restart();
    await member.becomeHealthy();
    expect(member.endpoint).toBe(endpoint);
    expect(await valueAt(cluster.as('us1', [endpoint]), HEAD)).toBe('two');
  });

  test('the leader that stops hands over, and another leads', async () => {
    const leader = await leaderOf(cluster);
    await leader.stop();
    const next = await leaderOf(cluster);
    expect(next.name).not.toBe(leader.name);
    await leader.restart();
  });

  test('a paused member keeps its connections and answers nobody until it goes on', async () => {
    const member = cluster.member('w1');
    await member.pause();
    await expect(member.isHealthy()).rejects.toThrow(/[Tt]imeout/);
    await member.resume();
    await member.becomeHealthy();
  });

  test('what was acknowledged outlives the death of all members at once', async () => {
    const members = [...cluster.members.values()];
    await cluster.as('eu1')('put', HEAD, 'three');
    await Promise.all(members.map((member) => member.kill()));
    await Promise.all(members.map((member) => member.restart()));
    await cluster.becomeHealthy();
    expect(await valueAt(cluster.as('eu1'), HEAD)).toBe('three');
    expect(await valueAt(cluster.as('root'), '/portolan/demo/sites/us1/lease')).toBeNull();
  });
});

test('two clusters side by side know nothing of one another', { timeout: START_MS }, async () => {
  const both = await Promise.all([startEtcdAlone(), startEtcdAlone()]);
  onTestFinished(() => Promise.all(both.map((one) => one.stop())).then(() => {}));
  const [first, second] = both.map((one) => one.cluster);
  if (first === undefined || second === undefined) throw new Error('two were started');
  await first.as('eu1')('put', HEAD, 'first');
  expect(await valueAt(first.as('eu1'), HEAD)).toBe('first');
  expect(await valueAt(second.as('eu1'), HEAD)).toBeNull();
  const stranger = second.as('eu1', first.endpoints());
  await expect(
    stranger('--dial-timeout=1s', '--command-timeout=1s', 'get', HEAD),
  ).rejects.toThrow();
});

const ONCE = { deadlineMs: 15_000 } as const;

function leaderOf(cluster: EtcdCluster): Promise<EtcdMember> {
  return until('there is a leader', () => cluster.leader(), ONCE);
}
