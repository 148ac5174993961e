// Agents that resume past compaction (C10): others vouch for them once, and then they stand on a
// word of their own again. Else a silence that all of them share would have no end.

import { expect, test } from 'vitest';
import type { CommitSource, SourceRead } from '../../agent/ports.ts';
import { Fleet, priorityOf, settled } from '../fakes/fleet.ts';
import { SITES, type SiteName } from '../shared/kit.ts';

/** A source that cannot show what happened up to `lost`, and has seen all from there on. */
function lossy(fleet: Fleet, told: { seen: bigint; lost: bigint }): CommitSource {
  const { source } = fleet;
  return {
    read: async (from): Promise<SourceRead> => ({ ...(await source.read(from)), ...told }),
    append: (version, jws) => source.append(version, jws),
    trust: (version) => source.trust(version),
    writeTrust: (version, jws) => source.writeTrust(version, jws),
    join: () => source.join(),
  };
}

interface Lossy {
  readonly fleet: Fleet;
  readonly told: Record<SiteName, { seen: bigint; lost: bigint }>;
}

/** Started again one after the other: their source has lost what was in between. */
async function pastCompaction(...sites: readonly SiteName[]): Promise<Lossy> {
  const fleet = await Fleet.afloat();
  const told = {
    eu1: { seen: 50n, lost: 50n },
    us1: { seen: 50n, lost: 50n },
    w1: { seen: 50n, lost: 50n },
  };
  for (const site of sites) {
    await fleet.begin(site, { join: null, ports: { source: lossy(fleet, told[site]) } });
    await fleet.round(2);
  }
  return { fleet, told };
}

/** Nobody hears anybody, until words of those who believed the last of others have expired too. */
async function apart(fleet: Fleet): Promise<void> {
  for (let i = 0; i < 20; i++) {
    await fleet.turn();
    for (const { answer } of fleet.wire.splice(0)) answer.reject(new Error('cut'));
    await settled();
    fleet.nowMs += 2_000;
  }
}

test('an agent that others vouched for once goes on by itself', async () => {
  const { fleet } = await pastCompaction('eu1');
  const before = fleet.wordsOf('eu1').length;
  for (const site of ['us1', 'w1'] as const) fleet.crash(site);
  await apart(fleet);
  expect(fleet.wordsOf('eu1').length).toBeGreaterThan(before + 15);
  expect(fleet.keeps.eu1.kept).toMatchObject({ revision: 50n });
});

test('a silence that all share ends when they hear one another again', async () => {
  const { fleet } = await pastCompaction(...SITES);
  await apart(fleet);
  await fleet.commit(priorityOf(2));
  await fleet.round(3);
  for (const site of SITES) expect([site, fleet.activeAt(site)]).toEqual([site, 2n]);
});

test('what is lost later needs others again', async () => {
  const { fleet, told } = await pastCompaction('eu1');
  for (const site of ['us1', 'w1'] as const) fleet.crash(site);
  await apart(fleet);
  Object.assign(told.eu1, { seen: 90n, lost: 90n });
  const before = fleet.wordsOf('eu1').length;
  await apart(fleet);
  expect(fleet.wordsOf('eu1')).toHaveLength(before);
  expect(fleet.ownAlarms('eu1')).toContain('not-attested');
});

// Attack: the own word from before the restart, handed back, makes up the threshold (I16).
test('one other site and the own older word are not others', async () => {
  const fleet = await Fleet.afloat();
  fleet.crash('w1');
  for (let i = 0; i < 10; i++) {
    await fleet.turn('us1', 'eu1');
    await fleet.deliverAll();
    fleet.nowMs += 2_000;
  }
  const source = lossy(fleet, { seen: 50n, lost: 50n });
  await fleet.begin('eu1', { join: null, ports: { source } });
  const before = fleet.wordsOf('eu1').length;
  for (let i = 0; i < 3; i++) {
    await fleet.turn('us1', 'eu1');
    await fleet.deliverAll();
    fleet.nowMs += 2_000;
  }
  expect(fleet.wordsOf('eu1')).toHaveLength(before);
});
