// What an agent tells of itself, in wire form: for people, for the CLI and for other tests.

import { describe, expect, test } from 'vitest';
import { statusOf } from '../../agent/status.ts';
import { canonical } from '../../shared/canonical.ts';
import { Fleet, newestOf, priorityOf, START_MS, settled } from '../fakes/fleet.ts';
import type { SiteName } from '../shared/kit.ts';

function told(fleet: Fleet, site: SiteName, nowMs = fleet.nowMs, gateway: unknown = null) {
  const identity = { site, agent: `${site}-1`, targets: [], assume: 'up' } as const;
  const counts = gateway as Parameters<typeof statusOf>[2];
  return statusOf(fleet.agent(site), identity, counts, nowMs) as Record<string, unknown>;
}

test('before the first commit: an empty head, nothing active, nobody heard', async () => {
  const fleet = await Fleet.start();
  expect(told(fleet, 'w1')).toEqual({
    site: 'w1',
    agent: 'w1-1',
    cluster: 'demo',
    trust: '1',
    head: { generation: '1', version: '0', envelope: null },
    active: null,
    sitesHeard: [],
    equivocators: [],
    verdicts: {},
    alarms: {},
    stores: [],
    targets: [
      { url: 'eu1', kind: 'peer', state: { kind: 'untried' } },
      { url: 'us1', kind: 'peer', state: { kind: 'untried' } },
    ],
    requests: null,
  });
});

test('at the head: what is held and active, whom it heard, what they say', async () => {
  const fleet = await Fleet.afloat();
  const { digest } = newestOf(fleet.author);
  const { manifestDigest } = fleet.author.holder.state;
  expect(told(fleet, 'eu1', fleet.nowMs + 500, { counts: { answered: 7 } })).toMatchObject({
    head: { generation: '1', version: '1', envelope: digest },
    // The words of the last round are one interval old.
    active: { generation: '1', version: '1', manifest: manifestDigest, ageMs: 2_500 },
    sitesHeard: ['eu1', 'us1', 'w1'],
    verdicts: { eu1: 'up', us1: 'up' },
    requests: { answered: 7 },
  });
});

test('a head that is ahead of what is active is told as two', async () => {
  const fleet = await Fleet.afloat();
  await fleet.commit(priorityOf(2));
  await fleet.turn('eu1');
  expect(told(fleet, 'eu1')).toMatchObject({
    head: { version: '2' },
    active: { version: '1' },
  });
});

// What its gateway decides by, and nothing that it would not decide by.
test('what is active is what stands, also after a restart among older words (I2)', async () => {
  const fleet = await Fleet.afloat();
  await fleet.turn('us1', 'w1');
  const old = fleet.wire.splice(0).filter(({ to }) => to === 'eu1');
  fleet.nowMs += 2_000;
  for (const { answer } of old) answer.reject(new Error('late'));
  await settled();
  await fleet.commit(priorityOf(2));
  await fleet.round(2);
  await fleet.begin('eu1');
  await fleet.turn('eu1');
  for (const message of old) await fleet.hand(message);
  expect(fleet.agent('eu1').standing).toBeNull();
  expect(told(fleet, 'eu1')).toMatchObject({ active: null, head: { version: '2' } });
});

test('who is silent for 15 s is not heard, the verdict is unknown, the age goes on', async () => {
  const fleet = await Fleet.afloat();
  const status = told(fleet, 'eu1', fleet.nowMs + 15_000);
  expect(status).toMatchObject({ sitesHeard: [], verdicts: { eu1: 'unknown', us1: 'unknown' } });
  expect(status['active']).toMatchObject({ version: '1', ageMs: 17_000 });
});

test('alarms are counted by code', async () => {
  const fleet = await Fleet.afloat();
  fleet.source.cutAfter(0n);
  await fleet.turn('eu1');
  await fleet.turn('eu1');
  fleet.cutOff.add('eu1');
  await fleet.turn('eu1');
  expect(told(fleet, 'eu1')['alarms']).toMatchObject({ rollback: 2, 'source-unreadable': 1 });
});

test('the age is the one that a gateway decides by, and never below 0 (E3)', async () => {
  const fleet = await Fleet.afloat();
  const { holder } = fleet.agent('eu1').standing ?? {};
  const ageMs = fleet.nowMs - (holder?.freshAtMs ?? 0);
  expect(told(fleet, 'eu1')['active']).toMatchObject({ ageMs });
  expect(told(fleet, 'eu1', START_MS - 3_000)['active']).toMatchObject({ ageMs: 0 });
});

describe('what a target said', () => {
  async function telling(push: () => Promise<string>): Promise<string> {
    const fleet = await Fleet.afloat();
    await fleet.begin('eu1', { targets: [{ url: 'edge', kind: 'edge' }], ports: { push } });
    await fleet.turn('eu1');
    await settled();
    return canonical(told(fleet, 'eu1')['targets']);
  }

  test('is told as it was said', async () => {
    const edge = '"edge":{"ageMs":12.5,"counters":{"ok":1},"verdicts":{},"version":"1"}';
    const place = '{"generation":"1","version":"9"}';
    const text = `{${edge},"stores":[{"floor":null,"head":${place},"id":"a","refused":[]}]}`;
    expect(await telling(async () => text)).toBe(
      `[{"kind":"edge","state":{"answer":${text},"atMs":${START_MS + 4_000},` +
        `"heads":[${place}],"kind":"answered"},"url":"edge"}]`,
    );
  });

  test('or why it said nothing', async () => {
    expect(await telling(() => Promise.reject(new Error('no "way"')))).toContain(
      '"kind":"failed","reason":"no \\"way\\""',
    );
  });

  // The reason quotes the answer's first 200 characters, and may cut one in two.
  test('is told though it is not well-formed', async () => {
    const text = `answered 500 ${'😀'.repeat(101)}`.slice(0, 200 + 13);
    const cut = text.isWellFormed() ? text.slice(0, -1) : text;
    expect(cut.isWellFormed()).toBe(false);
    expect(await telling(() => Promise.reject(new Error(cut)))).toContain('answered 500');
  });
});
