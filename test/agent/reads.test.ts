// What others ask of an agent's source (I16): however many ask at once, they share one read, so
// that the turn in which the agent attests is never behind more than that.

import { describe, expect, test } from 'vitest';
import type { CommitSource } from '../../agent/ports.ts';
import { Fleet, priorityOf, settled } from '../fakes/fleet.ts';
import { rotated, signedAfter } from '../shared/rotations.ts';

/** A source whose reads wait until they are let go. */
function slow(fleet: Fleet) {
  const waiting: PromiseWithResolvers<void>[] = [];
  let open = true;
  const { source: memory } = fleet;
  const source: CommitSource = {
    read: async (from) => {
      const gate = Promise.withResolvers<void>();
      if (!open) waiting.push(gate);
      else gate.resolve();
      await gate.promise;
      return memory.read(from);
    },
    append: (version, jws) => memory.append(version, jws),
    trust: (version) => memory.trust(version),
    writeTrust: (version, jws) => memory.writeTrust(version, jws),
    join: () => memory.join(),
  };
  return {
    source,
    hold: () => {
      open = false;
    },
    /** Lets the reads that wait now go, and says how many they were. */
    step: async () => {
      const now = waiting.splice(0);
      for (const gate of now) gate.resolve();
      await settled();
      return now.length;
    },
  };
}

async function held() {
  const fleet = await Fleet.afloat();
  const gates = slow(fleet);
  const agent = await fleet.begin('eu1', { ports: { source: gates.source } });
  await fleet.turn('eu1');
  gates.hold();
  return { fleet, agent, gates };
}

describe('who asks for a read of the source', () => {
  test('shares the one that waits, and the next turn comes behind it', async () => {
    const { agent, gates } = await held();
    const done: string[] = [];
    const first = agent.catchUp();
    await settled();
    const others = Array.from({ length: 100 }, () => agent.catchUp());
    const turn = agent.turn().then(() => done.push('turn'));
    for (let reads = 0; reads < 3; reads++) expect(await gates.step()).toBe(1);
    await Promise.all([first, ...others, turn]);
    expect([done, await gates.step()]).toEqual([['turn'], 0]);
  });

  // What was appended a moment ago lies behind a read that has begun.
  test('does not share one that has begun', async () => {
    const { fleet, agent, gates } = await held();
    const begun = agent.catchUp();
    await settled();
    await fleet.commit(priorityOf(2));
    const asked = agent.catchUp();
    await gates.step();
    await begun;
    await gates.step();
    await asked;
    expect(fleet.headAt('eu1')).toBe(2n);
  });
});

describe('a published trust document', () => {
  test.each<readonly [string, (fleet: Fleet) => unknown, string]>([
    ['nobody’s', () => ({}), 'malformed'],
    ['one root key’s', (fleet) => signedAfter(fleet.trust, {}, ['root r1']), 'trust-signatures'],
    ['a stranger’s', (fleet) => signedAfter(fleet.trust, {}, ['mallory']), 'trust-signatures'],
  ])('%s is refused without a look at the source', async (_, made, code) => {
    const { fleet, agent } = await held();
    const reads = fleet.source.reads.length;
    expect(await agent.publishTrust(await made(fleet))).toMatchObject({ code });
    expect(fleet.source.reads).toHaveLength(reads);
  });

  test('again and again is written once, and costs the turn no more than any read', async () => {
    const { fleet, agent, gates } = await held();
    const jws = await signedAfter(fleet.trust);
    const published = Array.from({ length: 50 }, () => agent.publishTrust(jws));
    await settled();
    const turn = agent.turn();
    for (let reads = 0; reads < 3; reads++) expect(await gates.step()).toBeLessThan(2);
    await Promise.all([...published, turn]);
    expect([fleet.source.trusts.size, await gates.step()]).toEqual([1, 0]);
  });

  test('that follows one not read yet is taken', async () => {
    const fleet = await Fleet.afloat();
    const two = await rotated(fleet.trust);
    fleet.source.trusts.set(2n, JSON.stringify(two.jws));
    const three = await signedAfter(two);
    expect(await fleet.agent('eu1').publishTrust(three)).toEqual({ kind: 'created', version: 3n });
    expect(fleet.agent('eu1').holder.trust.document.version).toBe(3n);
  });
});
