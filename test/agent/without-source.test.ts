// Agents that start while their source cannot be read (E6): from their own copy, and from peers,
// who decide nothing by themselves (I16).

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ControlDirectory } from '../../agent/adapters/directory.ts';
import { COPIES_PER_TURN_MAX } from '../../agent/limits.ts';
import { Fleet, priorityOf } from '../fakes/fleet.ts';
import { MemoryKeep } from '../fakes/memory-keep.ts';
import { commit, FIRST, newHolder, receive, type TestHolder } from '../shared/kit.ts';

const OTHERS = ['us1', 'w1'] as const;

/** Version 3 everywhere, then nobody can read the source. */
async function inTheDark(): Promise<Fleet> {
  const fleet = await Fleet.afloat();
  for (const priority of [2, 3]) await fleet.commit(priorityOf(priority));
  await fleet.round(2);
  for (const site of ['eu1', ...OTHERS] as const) fleet.cutOff.add(site);
  await fleet.round();
  return fleet;
}

/** eu1 again, without a memory. `give`: what each peer answers when it is asked for commits. */
async function newAgent(fleet: Fleet, give: (peer: string, from: bigint) => readonly unknown[]) {
  const commitsOf = async (peer: string, from: bigint) => give(peer, from);
  return fleet.begin('eu1', { join: null, ports: { commitsOf, keep: new MemoryKeep() } });
}

function from({ commits }: TestHolder, version: bigint, most = 2): readonly unknown[] {
  return commits.slice(Number(version) - 1, Number(version) - 1 + most);
}

test('a new agent takes what a threshold of others attests, and attests it', async () => {
  const fleet = await inTheDark();
  await newAgent(fleet, (_, version) => from(fleet.author, version));
  await fleet.round(3);
  expect([fleet.headAt('eu1'), fleet.activeAt('eu1')]).toEqual([3n, 3n]);
  expect(fleet.wordsOf('eu1').at(-1)).toMatchObject({ version: 3n, mode: 'frozen' });
});

// The quorum is lost while commits are on their way: each site has come to another version.
test('sites that were a commit apart when the source was lost go on, and meet (E6)', async () => {
  const fleet = await Fleet.afloat();
  const commitsOf = async (_: string, version: bigint) => from(fleet.author, version);
  for (const site of ['eu1', ...OTHERS] as const) await fleet.begin(site, { ports: { commitsOf } });
  await fleet.round(2);
  for (const site of ['w1', 'us1', 'eu1'] as const) {
    fleet.cutOff.add(site);
    await fleet.commit(priorityOf(Number(fleet.author.holder.state.manifest.version) + 1));
    await fleet.turn();
  }
  expect(['eu1', 'us1', 'w1'].map((site) => fleet.headAt(site as 'eu1'))).toEqual([3n, 2n, 1n]);
  await fleet.round(40);
  expect(['eu1', 'us1', 'w1'].map((site) => fleet.headAt(site as 'eu1'))).toEqual([3n, 2n, 2n]);
  for (const site of ['eu1', ...OTHERS] as const) {
    const { active, freshAtMs } = fleet.agent(site).holder;
    expect([site, active?.version, fleet.nowMs - freshAtMs < 5_000]).toEqual([site, 2n, true]);
  }
});

test('a peer that has nothing, lies or is down costs the next one being asked', async () => {
  const fleet = await inTheDark();
  const asked: string[] = [];
  const rival = await fleet.rival();
  await newAgent(fleet, (peer, version) => {
    asked.push(peer);
    return peer === OTHERS[0] ? from(rival, version) : from(fleet.author, version);
  });
  await fleet.round(3);
  expect(fleet.headAt('eu1')).toBe(3n);
  expect(new Set(asked)).toEqual(new Set(OTHERS));
});

test.each<readonly [string, (fleet: Fleet) => Promise<readonly unknown[]>]>([
  ['a commit that nobody else attests', async (fleet) => (await beyond(fleet)).commits],
  ['another history', async (fleet) => (await fleet.rival()).commits],
  ['a history with a hole', async ({ author }) => [author.commits[0], author.commits[2]]],
  ['no commits', async () => ['', null, {}]],
  ['nothing', async () => []],
])('%s is not taken from peers', async (_, made) => {
  const fleet = await inTheDark();
  const commits = await made(fleet);
  await newAgent(fleet, (_peer, version) => commits.slice(Number(version) - 1));
  await fleet.round(3);
  const head = fleet.headAt('eu1');
  expect(fleet.wordsOf('eu1').every(({ version }) => version <= 3n)).toBe(true);
  expect(head === 0n || head === 3n).toBe(true);
  expect(fleet.activeAt('eu1')).toBe(head === 3n ? 3n : null);
});

test('the word of one other site is not enough', async () => {
  const fleet = await inTheDark();
  fleet.crash('w1');
  fleet.nowMs += 20_000;
  await newAgent(fleet, (_, version) => from(fleet.author, version));
  for (let i = 0; i < 3; i++) {
    await fleet.turn('us1', 'eu1');
    await fleet.deliverAll();
  }
  expect(fleet.headAt('eu1')).toBe(0n);
});

test('a restart folds its own copy, and attests what it swore to', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'portolan-copy-'));
  try {
    const fleet = new Fleet();
    for (const site of OTHERS) await fleet.begin(site);
    const copy = new ControlDirectory(folder);
    await fleet.begin('eu1', { ports: { copy } });
    await fleet.commit(FIRST);
    for (let i = 0; i < 2; i++) await fleet.commit(priorityOf(i + 2));
    await fleet.round(2);
    fleet.cutOff.add('eu1');
    await fleet.begin('eu1', { ports: { copy } });
    expect(fleet.headAt('eu1')).toBe(3n);
    await fleet.round(2);
    expect(fleet.wordsOf('eu1').at(-1)).toMatchObject({ version: 3n, mode: 'frozen' });
    fleet.cutOff.delete('eu1');
    await fleet.round(2);
    expect(fleet.wordsOf('eu1').at(-1)).toMatchObject({ version: 3n, mode: 'live' });
    expect(fleet.ownAlarms('eu1').filter((code) => code !== 'source-unreadable')).toEqual([]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a copy that somebody changed raises its alarm, and silence', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'portolan-copy-'));
  try {
    const fleet = await Fleet.afloat();
    const copy = new ControlDirectory(folder);
    const rival = await fleet.rival();
    for (const [i, jws] of rival.commits.entries()) await copy.append(BigInt(i) + 1n, jws);
    await fleet.commit(priorityOf(2));
    await fleet.round(2);
    await fleet.begin('eu1', { ports: { copy } });
    // Two histories were shown: it says nothing until a person has looked.
    await fleet.round();
    expect(fleet.ownAlarms('eu1')).toContain('equivocation');
  } finally {
    await rm(folder, { recursive: true });
  }
});

test(`a long history is copied ${COPIES_PER_TURN_MAX} commits a turn`, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'portolan-copy-'));
  try {
    const fleet = new Fleet();
    await fleet.commit(FIRST);
    for (let i = 0; i < COPIES_PER_TURN_MAX; i++) await fleet.commit(priorityOf((i % 9) + 1));
    const copy = new ControlDirectory(folder);
    await fleet.begin('eu1', { ports: { copy } });
    await fleet.turn('eu1');
    expect((await copy.read(1n)).commits).toHaveLength(COPIES_PER_TURN_MAX);
    await fleet.turn('eu1');
    expect((await copy.read(1n)).commits).toHaveLength(COPIES_PER_TURN_MAX + 1);
  } finally {
    await rm(folder, { recursive: true });
  }
});

/** The history that is attested, and one more commit that an operator signed. */
async function beyond(fleet: Fleet): Promise<TestHolder> {
  const longer = newHolder(fleet.trust);
  for (const jws of fleet.author.commits) await receive(longer, jws);
  await commit(longer, priorityOf(7));
  return longer;
}
