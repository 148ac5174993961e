// What an agent swears to (C10, H3): one digest a version for ever, kept on disk before it is said,
// through crashes, clocks put back and histories that are longer than the chain in memory.

import { describe, expect, test } from 'vitest';
import { planAttestation, type Situation } from '../../agent/control/attest.ts';
import type { Kept } from '../../agent/ports.ts';
import { sealDelta } from '../../shared/control/delta.ts';
import { emptyHolder } from '../../shared/control/holder.ts';
import { PROTOCOL } from '../../shared/control/protocol.ts';
import type { Digest } from '../../shared/digest.ts';
import { CHAIN_LINKS_MAX } from '../../shared/limits.ts';
import { Fleet, joinOf, newestOf, priorityOf, START_MS, settled } from '../fakes/fleet.ts';
import type { Mishap } from '../fakes/memory-keep.ts';
import { expectHonest } from '../fakes/voyage.ts';
import { digestNamed } from '../shared/forge.ts';
import { agentKey, attest, commit, crypto, FIRST, newHolder, testTrust } from '../shared/kit.ts';

const HOUR_MS = 3_600_000;
const NOW = START_MS;

const trust = await testTrust();

/** Versions 1 to 3. */
const three = newHolder(trust);
const digests: (Digest | null)[] = [null];
for (const operations of [FIRST, priorityOf(2), priorityOf(3)]) {
  await commit(three, operations);
  digests.push(newestOf(three).digest);
}

/** One commit more than an agent holds in memory. */
const LONG = CHAIN_LINKS_MAX + 1;
const long = newHolder(trust);
await commit(long, FIRST);
for (let version = 2; version <= LONG; version++) await commit(long, priorityOf(version % 10));

function situation(nowMs: number, changes: Partial<Situation> = {}): Situation {
  const regions = { eu1: 'up', us1: 'down' } as const;
  const who = { site: 'eu1', agent: 'eu1-1', nowMs, mode: 'live', term: 4n, regions } as const;
  return { ...who, commitIndex: 9n, seen: undefined, ...changes };
}

function kept(version: number, changes: Partial<Kept> = {}): Kept {
  const envelope = digests[version] ?? null;
  return { seq: 5n, generation: 1n, version: BigInt(version), envelope, ...changes };
}

describe('the plan', () => {
  test('before the first commit there is nothing to attest', () => {
    const { holder } = emptyHolder(trust, crypto);
    expect(planAttestation(holder, kept(0), situation(NOW))).toBeNull();
  });

  test('what is kept is what is said, for 15 s', () => {
    const plan = planAttestation(three.holder, kept(2), situation(NOW, { mode: 'frozen' }));
    expect(plan).toEqual({
      kept: { seq: BigInt(NOW), generation: 1n, version: 3n, envelope: digests[3] },
      attestation: {
        kind: 'attestation',
        cluster: 'demo',
        site: 'eu1',
        agent: 'eu1-1',
        seq: BigInt(NOW),
        issuedAt: NOW,
        expiresAt: NOW + 15_000,
        mode: 'frozen',
        generation: 1n,
        version: 3n,
        envelope: digests[3],
        commitIndex: 9n,
        term: 4n,
        observations: { regions: { eu1: 'up', us1: 'down' } },
        load: {},
      },
    });
  });

  test.each<readonly [string, bigint, number, bigint]>([
    ['the clock, where it is ahead', 5n, NOW, BigInt(NOW)],
    ['the clock, where it is just ahead', BigInt(NOW) - 2n, NOW, BigInt(NOW)],
    ['the next number, where the clock stands still', BigInt(NOW), NOW, BigInt(NOW) + 1n],
    ['the next number, where the clock is put back', BigInt(NOW), NOW - 9_999, BigInt(NOW) + 1n],
  ])('the number is %s (H3)', (_, seq, nowMs, expected) => {
    const plan = planAttestation(three.holder, kept(3, { seq }), situation(nowMs));
    expect(plan).toMatchObject({ kept: { seq: expected }, attestation: { seq: expected } });
  });
});

describe('kept first, said then', () => {
  test('nothing is sent, and nothing counted, before the keep has it', async () => {
    const fleet = new Fleet();
    await fleet.commit(FIRST);
    const gate = Promise.withResolvers<void>();
    const keep = fleet.keeps.eu1;
    const slow = {
      load: () => keep.load(),
      save: (sworn: Kept) => gate.promise.then(() => keep.save(sworn)),
    };
    const agent = await fleet.begin('eu1', { ports: { keep: slow } });
    const turn = agent.turn();
    await settled();
    expect([fleet.sent.length, agent.holder.book.latest.size]).toEqual([0, 0]);
    gate.resolve();
    await turn;
    await settled();
    const [word] = fleet.wordsOf('eu1');
    const { seq, generation, version, envelope } = word ?? {};
    expect(keep.kept).toEqual({ seq, generation, version, envelope });
    expect(fleet.sent).toHaveLength(2);
  });

  test('a delta that comes in the middle of a turn is not lost', async () => {
    const fleet = await Fleet.afloat();
    const gate = Promise.withResolvers<void>();
    const keep = fleet.keeps.eu1;
    const slow = {
      load: () => keep.load(),
      save: (sworn: Kept) => gate.promise.then(() => keep.save(sworn)),
    };
    const agent = await fleet.begin('eu1', { ports: { keep: slow } });
    const turn = agent.turn();
    await settled();
    const attestations = [await attest(fleet.author, 'w1', fleet.nowMs)];
    const delta = { v: PROTOCOL, trust: [], commits: [], attestations } as const;
    const from = { cluster: 'demo', site: 'us1', agent: 'us1-1' };
    await agent.deliver(await sealDelta(delta, from, agentKey('us1'), crypto));
    gate.resolve();
    await turn;
    const kids = [...agent.holder.book.latest.keys()];
    expect(new Set(kids)).toEqual(new Set([agentKey('eu1').kid, agentKey('w1').kid]));
    expect(fleet.activeAt('eu1')).toBe(1n);
  });

  // What the process leaves behind at each step; then the clock is put back, and the source holds
  // another commit of the version that was, or was not, sworn to.
  test.each<readonly [Mishap | 'dies-sent', boolean]>([
    ['rejects', true],
    ['dies-before', true],
    ['dies-after', false],
    ['rejects-after', false],
    ['dies-sent', false],
  ])('a save that %s leaves one digest a version and no number twice', async (mishap, free) => {
    const fleet = await Fleet.afloat();
    await fleet.commit(priorityOf(2));
    if (mishap !== 'dies-sent') fleet.keeps.eu1.mishap = mishap;
    void fleet
      .agent('eu1')
      .turn()
      .catch(() => {});
    await settled();
    fleet.nowMs -= HOUR_MS;
    const other = newestOf(await fleet.rival());
    fleet.source.put(2n, other.jws);
    await fleet.begin('eu1');
    for (let i = 0; i < 3; i++) {
      await fleet.turn('eu1');
      fleet.nowMs += 2_000;
    }
    const words = fleet.wordsOf('eu1');
    expectHonest(words);
    // Free to swear to what is there now only where nothing was kept.
    expect(words.some(({ envelope }) => envelope === other.digest)).toBe(free);
    expect(fleet.ownAlarms('eu1').includes('equivocation')).toBe(!free);
  });

  test('a save that fails ends the turn with its error, and nothing is sent', async () => {
    const fleet = await Fleet.afloat();
    const before = fleet.sent.length;
    await fleet.commit(priorityOf(2));
    fleet.keeps.eu1.mishap = 'rejects';
    await expect(fleet.agent('eu1').turn()).rejects.toThrow('no space left');
    await settled();
    expect(fleet.sent.length).toBe(before);
  });

  // E6: whoever looks at the alarms should see a source that is down, and no attack.
  test('a restart while the source is down is no rollback', async () => {
    const fleet = await Fleet.afloat();
    fleet.cutOff.add('eu1');
    const before = fleet.wordsOf('eu1').length;
    await fleet.begin('eu1');
    await fleet.round(2);
    expect(new Set(fleet.ownAlarms('eu1'))).toEqual(new Set(['source-unreadable']));
    expect(fleet.wordsOf('eu1').length).toBe(before);
    fleet.cutOff.clear();
    await fleet.round();
    expect(fleet.wordsOf('eu1').length).toBe(before + 1);
  });

  test('after a restart on a clock put back, numbers go on from the kept one (H3)', async () => {
    const fleet = await Fleet.afloat();
    const last = fleet.keeps.eu1.kept?.seq ?? 0n;
    fleet.nowMs -= HOUR_MS;
    await fleet.begin('eu1');
    await fleet.turn('eu1');
    expect(fleet.wordsOf('eu1').at(-1)?.seq).toBe(last + 1n);
  });

  // An hour of silence takes the site out of every count: a step of the clock may not decide that.
  test('an agent whose clock is put back goes on attesting (H3)', async () => {
    const fleet = await Fleet.afloat();
    const before = fleet.wordsOf('eu1').length;
    fleet.nowMs -= HOUR_MS;
    for (let i = 0; i < 3; i++) {
      await fleet.turn('eu1');
      await fleet.deliverAll();
      fleet.nowMs += 2_000;
    }
    expect(fleet.wordsOf('eu1').length).toBeGreaterThan(before);
    expectHonest(fleet.wordsOf('eu1'));
  });
});

describe('what was active outlives a restart (I2)', () => {
  // Words of an older version live for 15 s, and may come late or be replayed.
  test('what was active before a restart is not undone by older words after it', async () => {
    const fleet = await Fleet.afloat();
    await fleet.turn('us1', 'w1');
    const old = fleet.wire.splice(0).filter(({ to }) => to === 'eu1');
    fleet.nowMs += 2_000;
    for (const { answer } of old) answer.reject(new Error('late'));
    await settled();
    await fleet.commit(priorityOf(2));
    await fleet.round();
    expect(fleet.activeAt('eu1')).toBe(2n);
    await fleet.begin('eu1');
    await fleet.turn('eu1');
    for (const message of old) await fleet.hand(message);
    expect([null, 2n]).toContain(fleet.activeAt('eu1'));
    // Nor by what is kept with the next word.
    fleet.nowMs += 2_000;
    await fleet.turn('eu1');
    for (const message of old) await fleet.hand(message);
    expect([null, 2n]).toContain(fleet.activeAt('eu1'));
    expect(fleet.keeps.eu1.kept?.active?.version).toBe(2n);
  });

  test('nobody decides by what became active before it is kept', async () => {
    const fleet = await Fleet.afloat();
    const keep = fleet.keeps.eu1;
    let gate = Promise.resolve();
    const slow = {
      load: () => keep.load(),
      save: (sworn: Kept) => gate.then(() => keep.save(sworn)),
    };
    await fleet.begin('eu1', { ports: { keep: slow } });
    await fleet.round();
    await fleet.commit(priorityOf(2));
    await fleet.turn('eu1');
    await fleet.deliverAll();
    const opened = Promise.withResolvers<void>();
    gate = opened.promise;
    await fleet.turn('us1');
    const message = fleet.wire.find(({ to }) => to === 'eu1');
    const handed = message === undefined ? Promise.reject() : fleet.hand(message);
    await settled();
    expect([fleet.activeAt('eu1'), keep.kept?.active?.version]).toEqual([1n, 1n]);
    opened.resolve();
    await handed;
    expect([fleet.activeAt('eu1'), keep.kept?.active?.version]).toEqual([2n, 2n]);
  });
});

describe(`a history of ${LONG} commits`, () => {
  async function over(sworn: Kept | null, join = joinOf('eu1')): Promise<Fleet> {
    const fleet = new Fleet(long);
    for (const [i, jws] of long.commits.entries()) fleet.source.put(BigInt(i) + 1n, jws);
    if (sworn !== null) await fleet.keeps.eu1.save(sworn);
    await fleet.begin('eu1', { join });
    for (let i = 0; i < 4; i++) {
      await fleet.turn('eu1');
      await fleet.deliverAll();
      fleet.nowMs += 2_000;
    }
    expect(fleet.headAt('eu1')).toBe(BigInt(LONG));
    return fleet;
  }

  test('is attested by one who swore to an older commit of it', async () => {
    const fleet = await over(kept(1));
    expect(fleet.wordsOf('eu1').at(-1)?.version).toBe(BigInt(LONG));
    expect(fleet.ownAlarms('eu1')).toEqual([]);
  });

  test('is attested by one who swore to its head, and that is no rollback', async () => {
    const { digest } = newestOf(long);
    const fleet = await over({ seq: 1n, generation: 1n, version: BigInt(LONG), envelope: digest });
    expect(fleet.wordsOf('eu1').at(-1)?.version).toBe(BigInt(LONG));
    expect(fleet.ownAlarms('eu1')).toEqual([]);
  });

  test('is never attested by one who swore to another first commit', async () => {
    const fleet = await over(kept(1, { envelope: digestNamed('fork') }));
    expect(fleet.ownAlarms('eu1')).toContain('equivocation');
    expect(fleet.wordsOf('eu1').map(({ version }) => version)).toEqual([]);
  });

  test('is never attested by one whose join names another first commit', async () => {
    const fleet = await over(null, joinOf('eu1', { version: 1n, envelope: digestNamed('fork') }));
    expect(fleet.ownAlarms('eu1')).toContain('equivocation');
    expect(fleet.wordsOf('eu1').map(({ version }) => version)).toEqual([]);
  });
});
