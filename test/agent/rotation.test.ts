// An agent through rotations (C5): it reads them before commits, hears of them from peers, and does
// not forget one, whatever its source loses.

import { describe, expect, test } from 'vitest';
import { Memory } from '../../agent/control/memory.ts';
import type { Kept } from '../../agent/ports.ts';
import { sealDelta } from '../../shared/control/delta.ts';
import { trusting } from '../../shared/control/holder.ts';
import type { Jws } from '../../shared/control/jws.ts';
import type { Trust } from '../../shared/control/trust.ts';
import { carriedTrust } from '../../shared/control/trust-chain.ts';
import { Fleet, priorityOf, wordsIn } from '../fakes/fleet.ts';
import { MemoryKeep } from '../fakes/memory-keep.ts';
import { bob, digestNamed } from '../shared/forge.ts';
import {
  agentKey,
  crypto,
  FIRST,
  receive,
  SITES,
  type SiteName,
  signCommit,
  testTrust,
} from '../shared/kit.ts';
import {
  adopted,
  newAgentKey,
  rotated,
  rotatedTimes,
  signedAfter,
  sitesWith,
  WITHOUT_ALICE,
} from '../shared/rotations.ts';

const pin = await testTrust();

/** For all to read; the author adopts it too. */
function publish(fleet: Fleet, trust: Trust): void {
  for (const [version, { jws }] of trust.held) write(fleet, version, jws);
  fleet.author.holder = trusting(fleet.author.holder, trust);
}

function write(fleet: Fleet, version: bigint, jws: Jws): void {
  fleet.source.trusts.set(version, JSON.stringify(jws));
}

function trustOf(fleet: Fleet, site: SiteName): bigint {
  return fleet.agent(site).holder.trust.document.version;
}

/** A delta of `site` that carries nothing but trust. */
function carrying(trust: readonly Jws[], site: SiteName): Promise<string> {
  const from = { cluster: 'demo', site, agent: `${site}-1` };
  return sealDelta({ v: 1, trust, commits: [], attestations: [] }, from, agentKey(site), crypto);
}

const trustTold = (fleet: Fleet) =>
  fleet.sent.map(({ delta }) => (JSON.parse(delta) as { trust: readonly unknown[] }).trust.length);

describe('a rotation', () => {
  test('is read before the commits that stand on it, and told with every delta', async () => {
    const fleet = await Fleet.afloat();
    expect(new Set(trustTold(fleet))).toEqual(new Set([0]));
    publish(fleet, await rotated(fleet.trust, WITHOUT_ALICE));
    const jws = await signCommit(fleet.author, priorityOf(2), { author: 'bob' }, bob);
    expect(await receive(fleet.author, jws)).not.toHaveProperty('code');
    await fleet.source.append(2n, jws);
    await fleet.round(2);
    for (const site of SITES) {
      expect([trustOf(fleet, site), fleet.activeAt(site)]).toEqual([2n, 2n]);
      expect(fleet.alarms(site)).toEqual([]);
    }
    expect(trustTold(fleet).at(-1)).toBe(2);
  });

  test('reaches an agent that cannot read its source from its peers', async () => {
    const fleet = await Fleet.afloat();
    fleet.cutOff.add('w1');
    publish(fleet, await rotated(fleet.trust, WITHOUT_ALICE));
    await fleet.round();
    expect(trustOf(fleet, 'w1')).toBe(2n);
  });

  test('that is refused is an alarm, and what is held goes on', async () => {
    const fleet = await Fleet.afloat();
    write(fleet, 2n, await signedAfter(fleet.trust, {}, ['root r1']));
    await fleet.commit(priorityOf(2));
    await fleet.round(2);
    expect([trustOf(fleet, 'eu1'), fleet.activeAt('eu1')]).toEqual([1n, 2n]);
    expect(new Set(fleet.alarms('eu1'))).toEqual(new Set(['trust-signatures']));
    const answer = await fleet
      .agent('eu1')
      .deliver(await carrying([await signedAfter(fleet.trust, {}, ['root r1'])], 'us1'));
    expect(answer).toMatchObject({ refused: ['trust-signatures'] });
    expect(answer.code).toBeUndefined();
  });

  test('cut short on its way to the disk is refused and taken when it is whole', async () => {
    const fleet = await Fleet.afloat();
    const two = await rotated(fleet.trust);
    fleet.source.trusts.set(2n, JSON.stringify(two.jws).slice(0, 100));
    await fleet.turn('eu1');
    expect([trustOf(fleet, 'eu1'), fleet.alarms('eu1')]).toEqual([1n, ['malformed']]);
    publish(fleet, two);
    await fleet.turn('eu1');
    expect(trustOf(fleet, 'eu1')).toBe(2n);
  });

  test('under the name of another version is a gap, and is not read for ever', async () => {
    const fleet = await Fleet.afloat();
    write(fleet, 2n, fleet.trust.jws);
    await fleet.turn('eu1');
    expect(fleet.alarms('eu1')).toEqual(['trust-gap']);
  });

  test('many at once are read in one turn', async () => {
    const fleet = await Fleet.afloat();
    publish(fleet, await rotatedTimes(fleet.trust, 20));
    await fleet.turn('eu1');
    expect(trustOf(fleet, 'eu1')).toBe(21n);
  });
});

describe('an agent’s key', () => {
  test('that was taken out says nothing more and counts for nobody', async () => {
    const fleet = await Fleet.afloat();
    publish(fleet, await rotated(fleet.trust, { sites: sitesWith(['w1']) }));
    await fleet.round();
    const before = fleet.wordsOf('w1').length;
    await fleet.commit(priorityOf(2));
    await fleet.round(2);
    expect(fleet.wordsOf('w1')).toHaveLength(before);
    expect(fleet.ownAlarms('w1')).toContain('role');
    expect(fleet.activeAt('eu1')).toBe(2n);
    const kids = [...fleet.agent('eu1').holder.book.latest.keys()];
    expect(kids).not.toContain(agentKey('w1').kid);
    const last = fleet.sent.findLast(({ from }) => from === 'eu1');
    expect(wordsIn(last?.delta ?? '').map(({ site }) => site)).not.toContain('w1');
  });

  test('that is new is believed by those who were not told of it before', async () => {
    const fleet = await Fleet.afloat();
    publish(fleet, await rotated(fleet.trust, { sites: sitesWith(['w1']) }));
    fleet.cutOff.add('eu1');
    await fleet.begin('w1', { ports: { signer: newAgentKey('w1') } });
    await fleet.turn('w1');
    await fleet.deliverAll();
    expect(trustOf(fleet, 'eu1')).toBe(2n);
    expect(fleet.alarms('eu1')).not.toContain('key-unknown');
    expect([...fleet.agent('eu1').holder.book.latest.keys()]).toContain(newAgentKey('w1').kid);
  });
});

describe('after a restart', () => {
  async function restarted(): Promise<Fleet> {
    const fleet = await Fleet.afloat();
    publish(fleet, await rotated(fleet.trust, WITHOUT_ALICE));
    await fleet.round();
    expect(fleet.keeps.eu1.kept).toMatchObject({ trust: { version: 2n } });
    return fleet;
  }

  test('the source has it still', async () => {
    const fleet = await restarted();
    await fleet.begin('eu1');
    await fleet.round();
    expect([trustOf(fleet, 'eu1'), fleet.activeAt('eu1')]).toEqual([2n, 1n]);
    expect(fleet.alarms('eu1')).toEqual([]);
  });

  // Attack: a source put back, so that revoked keys count again.
  test('a source that lost it leaves an agent without a word, until a peer brings it', async () => {
    const fleet = await restarted();
    fleet.source.trusts.clear();
    await fleet.begin('eu1');
    const sent = fleet.wordsOf('eu1').length;
    await fleet.turn('eu1');
    const words = await carrying([], 'us1');
    expect(await fleet.agent('eu1').deliver(words)).toMatchObject({ code: 'rollback' });
    expect([fleet.activeAt('eu1'), fleet.wordsOf('eu1').length]).toEqual([null, sent]);
    expect(new Set(fleet.alarms('eu1'))).toEqual(new Set(['rollback']));
    await fleet.round(2);
    expect([trustOf(fleet, 'eu1'), fleet.activeAt('eu1')]).toEqual([2n, 1n]);
    expect(fleet.wordsOf('eu1').length).toBeGreaterThan(sent);
  });

  test('another document in its place is a fork, and nothing is judged by it', async () => {
    const fleet = await restarted();
    const fork = await adopted(fleet.trust, await signedAfter(fleet.trust, { edges: {} }));
    fleet.source.trusts.clear();
    for (const [version, { jws }] of fork.held) write(fleet, version, jws);
    await fleet.begin('eu1');
    await fleet.turn('eu1');
    expect([trustOf(fleet, 'eu1'), fleet.activeAt('eu1')]).toEqual([1n, null]);
    expect(new Set(fleet.alarms('eu1'))).toEqual(new Set(['trust-fork', 'rollback']));
    const answer = await fleet.agent('eu1').deliver(await carrying(carriedTrust(fork), 'us1'));
    expect(answer).toMatchObject({ code: 'rollback' });
    await fleet.turn('us1');
    await fleet.deliverAll();
    expect(trustOf(fleet, 'eu1')).toBe(2n);
  });

  test('a source that loses it meanwhile is an alarm; the agent goes on', async () => {
    const fleet = await restarted();
    fleet.source.trusts.clear();
    await fleet.round();
    expect(trustOf(fleet, 'eu1')).toBe(2n);
    expect(fleet.alarms('eu1')).toEqual(['rollback']);
    expect(fleet.wordsOf('eu1').at(-1)?.mode).toBe('live');
  });
});

// What is kept would stand for the join (C10): an agent that never said a word starts by its join.
test('a new agent keeps no trust before its first word, and with it then', async () => {
  const fleet = new Fleet();
  publish(fleet, await rotated(fleet.trust));
  await fleet.begin('eu1');
  await fleet.turn('eu1');
  expect([trustOf(fleet, 'eu1'), fleet.keeps.eu1.kept]).toEqual([2n, null]);
  await fleet.commit(FIRST);
  await fleet.turn('eu1');
  expect(fleet.keeps.eu1.kept).toMatchObject({ version: 1n, trust: { version: 2n } });
});

// Two deltas are taken at once; their saves may land in any order.
test('of two documents adopted at once the newer is kept, whichever is saved last', async () => {
  const [two, three] = [await rotatedTimes(pin, 1), await rotatedTimes(pin, 2)];
  const first: Kept = { seq: 1n, generation: 1n, version: 1n, envelope: digestNamed('head') };
  for (const order of [
    [two, three],
    [three, two],
  ]) {
    const keep = new MemoryKeep(first);
    const memory = new Memory(first, keep);
    await Promise.all(order.map((trust) => memory.saveTrust(trust)));
    expect(keep.kept).toEqual({ ...first, trust: { version: 3n, digest: three.digest } });
    expect(memory.trustFault(three)).toBeNull();
    expect(memory.trustFault(two)).toMatchObject({ code: 'rollback' });
  }
});
