// What an agent is bound to before it says a word (C10): its own memory, an operator's join, or a
// threshold of other sites.

import { describe, expect, test } from 'vitest';
import { Sworn } from '../../agent/control/sworn.ts';
import type { Kept } from '../../agent/ports.ts';
import type { Join } from '../../shared/control/join.ts';
import type { Digest } from '../../shared/digest.ts';
import { CHAIN_LINKS_MAX } from '../../shared/limits.ts';
import { Fleet, joinOf, newestOf, priorityOf } from '../fakes/fleet.ts';
import { digestNamed } from '../shared/forge.ts';
import { commit, FIRST, newHolder, testTrust } from '../shared/kit.ts';

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

function kept(version: number, changes: Partial<Kept> = {}): Kept {
  const envelope = digests[version] ?? null;
  return { seq: 5n, generation: 1n, version: BigInt(version), envelope, ...changes };
}

describe('what an agent is bound to', () => {
  const elsewhere = digestNamed('fork');

  /** What may not be attested at version 3, after its commits were seen. */
  function faultOf(sworn: Kept | null, join: Join | null = null): string | null {
    const bound = new Sworn(sworn, join);
    for (const link of three.holder.chain) bound.see(link);
    return bound.fault(three.holder.state.manifest, null)?.code ?? null;
  }

  test.each<readonly [string, Kept, string | null]>([
    ['nothing yet', kept(0), null],
    ['the head', kept(3), null],
    ['an older version', kept(1), null],
    ['a later version', kept(3, { version: 4n }), 'rollback'],
    ['another commit of the head', kept(3, { envelope: elsewhere }), 'equivocation'],
    ['another commit before it', kept(1, { envelope: elsewhere }), 'equivocation'],
    ['no commit where there is one', kept(1, { envelope: null }), 'equivocation'],
  ])('by its own word: %s', (_, sworn, code) => {
    expect(faultOf(sworn)).toBe(code);
  });

  test.each<readonly [string, Partial<Join>, string | null]>([
    ['the state before the first commit', {}, null],
    ['the head', { version: 3n, envelope: digests[3] ?? null }, null],
    ['an older version', { version: 2n, envelope: digests[2] ?? null }, null],
    ['a later version', { version: 4n, envelope: elsewhere }, 'rollback'],
    ['another commit', { version: 2n, envelope: elsewhere }, 'equivocation'],
    ['a version without its commit', { version: 2n, envelope: null }, 'equivocation'],
  ])('by an operator’s join at %s', (_, place, code) => {
    expect(faultOf(null, joinOf('eu1', place))).toBe(code);
  });

  test('by nothing: it waits for a threshold of other sites, once', () => {
    const [first, second] = three.holder.chain;
    const bound = new Sworn(null, null);
    const head = three.holder.state.manifest;
    expect(bound.fault(head, null)?.code).toBe('not-attested');
    expect(bound.fault(head, first ?? null)).toBeNull();
    expect(bound.fault(head, null)).toBeNull();
    expect(second).toBeDefined();
  });

  test.each<readonly [string, Join | null, 0 | 1, string | null]>([
    ['no join, and others are not so far', null, 0, 'not-attested'],
    ['no join, and others attest what it attested', null, 1, null],
    [
      'an older join',
      joinOf('eu1', { version: 1n, envelope: digests[1] ?? null }),
      0,
      'not-attested',
    ],
    ['a join at the head', joinOf('eu1', { version: 3n, envelope: digests[3] ?? null }), 0, null],
    [
      'a join on another commit',
      joinOf('eu1', { version: 3n, envelope: elsewhere }),
      0,
      'equivocation',
    ],
    ['a join beyond the head', joinOf('eu1', { version: 4n, envelope: elsewhere }), 0, 'rollback'],
  ])('past compaction, with %s', (_, join, others, code) => {
    const bound = new Sworn(kept(2), join);
    for (const link of three.holder.chain) bound.see(link);
    const head = three.holder.state.manifest;
    expect(bound.fault(head, null)).toBeNull();
    bound.lose(9n);
    expect(bound.fault(head, three.holder.chain[others] ?? null)?.code ?? null).toBe(code);
  });

  test('a contradiction that was seen once stays, however far the history goes on', () => {
    const bound = new Sworn(kept(1, { envelope: elsewhere }), null);
    for (const link of long.holder.chain) bound.see(link);
    const [first] = three.holder.chain;
    if (first !== undefined) bound.see(first);
    expect(bound.fault(long.holder.state.manifest, null)?.code).toBe('equivocation');
  });
});

describe('joining', () => {
  test('a new agent without a join waits until a threshold of other sites attests', async () => {
    const fleet = new Fleet();
    for (const site of ['us1', 'w1'] as const) await fleet.begin(site);
    const agent = await fleet.begin('eu1', { join: null });
    await fleet.commit(FIRST);
    await fleet.turn('eu1');
    expect(fleet.wordsOf('eu1')).toEqual([]);
    expect(agent.status.alarms).toMatchObject({ 'not-attested': 1 });
    for (let i = 0; i < 3; i++) await fleet.round();
    expect(fleet.wordsOf('eu1').at(-1)).toMatchObject({ version: 1n });
  });

  test('one other site is no threshold of them', async () => {
    const fleet = new Fleet();
    await fleet.begin('us1');
    for (const site of ['eu1', 'w1'] as const) await fleet.begin(site, { join: null });
    await fleet.commit(FIRST);
    for (let i = 0; i < 3; i++) await fleet.round();
    expect([fleet.wordsOf('us1').length > 0, fleet.wordsOf('eu1')]).toEqual([true, []]);
  });

  test('an agent with a keep needs no join, and one that does not fit is not asked', async () => {
    const fleet = await Fleet.afloat();
    for (const join of [null, joinOf('eu1', { version: 7n })]) {
      await fleet.begin('eu1', { join });
      await fleet.round();
      expect(fleet.wordsOf('eu1').at(-1)).toMatchObject({ issuedAt: fleet.nowMs - 2_000 });
    }
  });

  test('a keep that cannot be read stops the agent, join or not', async () => {
    const fleet = new Fleet();
    fleet.keeps.eu1.broken = 'bad sector';
    await expect(fleet.begin('eu1')).rejects.toThrow('bad sector');
  });

  test('on version N: silence before it, words from it on', async () => {
    const fleet = await Fleet.afloat();
    await commit(fleet.author, priorityOf(2));
    const { jws, digest } = newestOf(fleet.author);
    const before = fleet.wordsOf('eu1').length;
    fleet.keeps.eu1.forget();
    await fleet.begin('eu1', { join: joinOf('eu1', { version: 2n, envelope: digest }) });
    await fleet.round(2);
    expect(fleet.wordsOf('eu1').length).toBe(before);
    fleet.source.put(2n, jws);
    await fleet.round();
    expect(fleet.wordsOf('eu1').at(-1)).toMatchObject({ version: 2n, mode: 'live' });
  });

  test.each([
    ['at the head', 1n],
    ['behind it', 2n],
  ])('a join that names another commit %s is an alarm, never a word', async (_, head) => {
    const fleet = await Fleet.afloat();
    if (head === 2n) await fleet.commit(priorityOf(2));
    fleet.keeps.eu1.forget();
    const before = fleet.wordsOf('eu1').length;
    const join = joinOf('eu1', { version: 1n, envelope: digestNamed('fork') });
    await fleet.begin('eu1', { join });
    await fleet.round(4);
    expect(fleet.wordsOf('eu1').length).toBe(before);
    expect(fleet.keeps.eu1.kept).toBeNull();
    expect(fleet.ownAlarms('eu1')).toContain('equivocation');
  });
});

// The chain in memory is bounded, what an agent swore to is not: a commit that has left the chain
// is no commit that may be another.
