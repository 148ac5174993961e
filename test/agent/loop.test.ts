// The agent's loop: three agents on one source, with a network and a clock that the test holds.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { COMMITS_PER_READ_MAX, PIECES_RETENTION_VERSIONS } from '../../agent/limits.ts';
import type { Attestation } from '../../shared/control/attestation.ts';
import { type Delta, sealDelta } from '../../shared/control/delta.ts';
import type { Envelope, Operation } from '../../shared/control/envelope.ts';
import type { Jws } from '../../shared/control/jws.ts';
import type { Signer } from '../../shared/crypto.ts';
import { ATTESTATIONS_PER_DELTA_MAX, DELTA_BYTES_MAX } from '../../shared/limits.ts';
import { Fleet, newestOf, priorityOf, START_MS, settled } from '../fakes/fleet.ts';
import { expectHonest, sail, voyages } from '../fakes/voyage.ts';
import { digestNamed, SEED, withBrokenSignature } from '../shared/forge.ts';
import {
  agentKey,
  attest,
  commit,
  crypto,
  FIRST,
  keyNamed,
  put,
  SITES,
  signCommit,
} from '../shared/kit.ts';

const KEPT = Number(PIECES_RETENTION_VERSIONS);

describe('one decided history (C10)', () => {
  test('a commit is active where it is held as soon as two of three sites attest it', async () => {
    const fleet = await Fleet.start();
    await fleet.commit(FIRST);
    await fleet.turn('eu1');
    await fleet.deliverAll();
    expect(SITES.map((site) => fleet.activeAt(site))).toEqual([null, null, null]);
    await fleet.turn('us1');
    await fleet.deliverAll();
    expect(SITES.map((site) => fleet.activeAt(site))).toEqual([1n, 1n, null]);
    // The witness heard both, and reads the commit itself only now.
    await fleet.turn('w1');
    expect(fleet.activeAt('w1')).toBe(1n);
  });

  test('a gateway goes on deciding by what is active while the head is ahead', async () => {
    const fleet = await Fleet.afloat();
    const standing = fleet.agent('eu1').standing;
    await fleet.commit(priorityOf(2));
    await fleet.turn('eu1');
    await fleet.deliverAll();
    expect(fleet.headAt('eu1')).toBe(2n);
    expect(fleet.agent('eu1').standing?.link).toBe(standing?.link);
    expect(fleet.agent('eu1').standing?.global).toBe(standing?.global);
  });

  test(`what only an older version used is let go ${KEPT} versions later (E3)`, async () => {
    const fleet = await Fleet.afloat();
    const { tenants } = fleet.author.holder.state.manifest;
    const held = () => fleet.agent('eu1').standing?.nodes(tenants) !== undefined;
    await fleet.commit(priorityOf(2));
    await fleet.turn('eu1');
    expect([fleet.headAt('eu1'), fleet.activeAt('eu1'), held()]).toEqual([2n, 1n, true]);
    for (let version = 3; version <= KEPT + 1; version++)
      await fleet.commit(priorityOf(2 + (version % 7)));
    await fleet.round(2);
    expect([fleet.activeAt('eu1'), held()]).toEqual([BigInt(KEPT) + 1n, true]);
    await fleet.commit(priorityOf(9));
    await fleet.round(2);
    expect(held()).toBe(false);
  });

  test('nextChange resolves when another version is active, and not before', async () => {
    const fleet = await Fleet.afloat();
    const seen: string[] = [];
    void fleet
      .agent('eu1')
      .nextChange()
      .then(() => seen.push('changed'));
    await fleet.round(2);
    await fleet.commit(priorityOf(2));
    await fleet.turn('eu1');
    expect(seen).toEqual([]);
    await fleet.turn('us1');
    await fleet.deliverAll();
    expect(seen).toEqual(['changed']);
  });

  test('what is active stays so when the words for it expire (C10, I2)', async () => {
    const fleet = await Fleet.afloat();
    fleet.cutOff.add('w1');
    await fleet.commit(priorityOf(2));
    await fleet.round();
    expect(fleet.activeAt('eu1')).toBe(2n);
    fleet.crash('us1');
    // The words left name versions 2 and 1; two sites have reached version 1.
    for (let i = 0; i < 10; i++) {
      await fleet.turn('eu1', 'w1');
      await fleet.deliverAll();
      fleet.nowMs += 2_000;
    }
    expect([...fleet.agent('eu1').holder.book.latest.keys()]).toContain(agentKey('w1').kid);
    expect(fleet.activeAt('eu1')).toBe(2n);
  });

  test('what could not be kept is not decided by, now or at the next turn (I2)', async () => {
    const fleet = await Fleet.afloat();
    await fleet.commit(priorityOf(2));
    await fleet.turn('eu1', 'us1');
    fleet.keeps.eu1.mishap = 'rejects';
    const message = fleet.wire.find(({ from, to }) => from === 'us1' && to === 'eu1');
    const handed = message === undefined ? null : fleet.hand(message);
    await expect(handed).rejects.toThrow('no space left');
    await fleet.turn('eu1');
    expect(fleet.activeAt('eu1')).toBe(fleet.keeps.eu1.kept?.active?.version);
  });

  test('a change is attested at once, nothing else before the interval is over (H3)', async () => {
    const fleet = await Fleet.afloat();
    await fleet.turn();
    await fleet.deliverAll();
    const words = () => SITES.map((site) => fleet.wordsOf(site).length);
    const before = words();
    fleet.nowMs += 1_999;
    await fleet.turn();
    expect(words()).toEqual(before);
    await fleet.commit(priorityOf(2));
    await fleet.turn();
    expect(words()).toEqual(before.map((count) => count + 1));
  });

  test('an agent hears of a site it cannot reach by relay (H3)', async () => {
    const fleet = await Fleet.afloat();
    await fleet.turn('w1');
    const [toEu1] = fleet.wire.splice(0, 1);
    expect(toEu1?.to).toBe('eu1');
    await fleet.deliverAll();
    fleet.nowMs += 2_000;
    await fleet.turn('us1');
    await fleet.deliverAll();
    const held = fleet.agent('eu1').holder.book.latest.get(agentKey('w1').kid);
    expect(held?.signed.value).toEqual(fleet.wordsOf('w1').at(-1));
  });

  // An alarm is for a person; relays that come late are what H3 orders.
  test('a healthy deployment raises no alarm, in whatever order its words arrive', async () => {
    const fleet = await Fleet.afloat();
    await fleet.turn('us1');
    await fleet.deliverAll();
    await fleet.turn('w1');
    const relayed = fleet.wire.splice(0);
    fleet.nowMs += 2_000;
    await fleet.turn('us1');
    await fleet.deliverAll();
    fleet.wire.push(...relayed);
    await fleet.deliverAll();
    expect(SITES.flatMap((site) => fleet.alarms(site))).toEqual([]);
  });

  test('a target that hangs delays neither the turn nor the others', async () => {
    const fleet = await Fleet.afloat();
    const pushed: string[] = [];
    const kinds = ['hangs', 'fails', 'answers'] as const;
    const agent = await fleet.begin('eu1', {
      targets: kinds.map((url) => ({ url, kind: 'peer' })),
      ports: {
        push: (url) => {
          pushed.push(url);
          if (url === 'hangs') return new Promise(() => {});
          if (url === 'fails') return Promise.reject(new Error('refused'));
          return Promise.resolve('{"id":"a","floor":null,"refused":[]}');
        },
      },
    });
    for (let i = 0; i < 3; i++) {
      await agent.turn();
      await settled();
      fleet.nowMs += 2_000;
    }
    const counts = kinds.map((url) => pushed.filter((to) => to === url).length);
    expect(counts).toEqual([1, 3, 3]);
    const states = agent.status.targets.map(({ state }) => state.kind);
    expect(states).toEqual(['untried', 'failed', 'answered']);
  });
});

describe('a source that cannot be trusted', () => {
  test('put back to an older state: alarm, frozen at what was sworn till it is back', async () => {
    const fleet = await Fleet.afloat();
    await fleet.commit(priorityOf(2));
    await fleet.round();
    fleet.source.cutAfter(1n);
    await fleet.round(2);
    expect(fleet.alarms('eu1')).toContain('rollback');
    expect(fleet.wordsOf('eu1').at(-1)).toMatchObject({ mode: 'frozen', version: 2n });
    expect(fleet.activeAt('eu1')).toBe(2n);
    fleet.source.put(2n, newestOf(fleet.author).jws);
    await fleet.round();
    expect(fleet.wordsOf('eu1').at(-1)).toMatchObject({ mode: 'live', version: 2n });
  });

  test('put back while the agent was away: alarm, and it attests nothing (I2)', async () => {
    const fleet = await Fleet.afloat();
    await fleet.commit(priorityOf(2));
    await fleet.round();
    fleet.source.cutAfter(1n);
    const before = fleet.wordsOf('eu1').length;
    await fleet.begin('eu1');
    await fleet.round(3);
    expect(fleet.alarms('eu1')).toContain('rollback');
    expect(fleet.wordsOf('eu1').length).toBe(before);
  });

  test('the head replaced by another signed commit: alarm, frozen, nothing moves', async () => {
    const fleet = await Fleet.afloat();
    await fleet.commit(priorityOf(2));
    await fleet.round();
    const held = fleet.agent('eu1').holder.state.envelope;
    fleet.source.put(2n, newestOf(await fleet.rival()).jws);
    await fleet.round(2);
    expect(fleet.alarms('eu1')).toContain('equivocation');
    expect(fleet.agent('eu1').holder.state.envelope).toBe(held);
    expect(fleet.wordsOf('eu1').at(-1)).toMatchObject({ mode: 'frozen', envelope: held });
    expectHonest(fleet.wordsOf('eu1'));
  });

  // Attack: files that add nothing and look like more to come. A turn that never ends says nothing.
  test('copies of an older commit behind the head end the turn all the same', async () => {
    const fleet = await Fleet.afloat();
    const { jws } = newestOf(fleet.author);
    for (let i = 2; i <= COMMITS_PER_READ_MAX + 1; i++) fleet.source.put(BigInt(i), jws);
    fleet.source.readsMax = fleet.source.reads.length + 20;
    await fleet.round();
    expect(fleet.wordsOf('eu1').at(-1)).toMatchObject({ version: 1n });
  });

  test('an older commit in the place of the next is an alarm: nothing can follow it', async () => {
    const fleet = await Fleet.afloat();
    fleet.source.put(2n, newestOf(fleet.author).jws);
    await fleet.round();
    expect(fleet.ownAlarms('eu1')).toHaveLength(1);
  });

  // Attack: the head made unreadable, so that what follows is never read and its state never ages.
  test('the head replaced by rubbish: alarm, and no live word for it (E3, H3)', async () => {
    const fleet = await Fleet.afloat();
    fleet.source.write(1n, 'rubbish');
    await fleet.round(2);
    expect(fleet.alarms('eu1')).toContain('malformed');
    expect(fleet.wordsOf('eu1').at(-1)).toMatchObject({ mode: 'frozen', version: 1n });
  });

  test('unreadable: alarm, frozen, and live again by itself (E6)', async () => {
    const fleet = await Fleet.afloat();
    fleet.cutOff.add('eu1');
    await fleet.commit(priorityOf(2));
    await fleet.round(2);
    expect(fleet.alarms('eu1')).toContain('source-unreadable');
    expect(fleet.agent('eu1').status.alarms).toMatchObject({ 'source-unreadable': 2 });
    expect(fleet.wordsOf('eu1').at(-1)).toMatchObject({ mode: 'frozen', version: 1n });
    expect([fleet.headAt('eu1'), fleet.activeAt('us1')]).toEqual([1n, 2n]);
    fleet.cutOff.clear();
    await fleet.round();
    expect(fleet.wordsOf('eu1').at(-1)).toMatchObject({ mode: 'live', version: 2n });
    expect(fleet.activeAt('eu1')).toBe(2n);
  });

  const good = priorityOf(2);
  const elsewhere = [
    put('tenants/globex/placement', { home: 'eu1', epoch: '65', state: 'ACTIVE' }),
  ];
  interface Forged {
    readonly operations?: readonly Operation[];
    readonly envelope?: Partial<Envelope>;
    readonly signer?: Signer;
  }
  test.each<readonly [string, Forged]>([
    ['lamport', { envelope: { lamport: 9n } }],
    ['manifest', { envelope: { manifest: digestNamed('elsewhere') } }],
    ['previous', { envelope: { previous: digestNamed('elsewhere') } }],
    ['cluster', { envelope: { cluster: 'other' } }],
    ['generation', { envelope: { generation: 2n } }],
    ['gap', { envelope: { version: 3n } }],
    ['safety', { envelope: { class: 'safety' } }],
    ['approvals', { envelope: { approvals: ['p1'] } }],
    ['author', { signer: keyNamed('bob') }],
    ['key-unknown', { signer: keyNamed('mallory') }],
    ['approvals', { signer: agentKey('eu1') }],
    ['record', { operations: [put('tenants/acme/tenant', { scope: 'eu' })] }],
    ['tenant-home', { operations: elsewhere }],
    ['signature', {}],
    ['malformed', {}],
  ])('an invalid commit (%s) raises its alarm and has no effect (C4)', async (code, forged) => {
    const { operations = good, envelope, signer } = forged;
    const fleet = await Fleet.afloat();
    const jws = await signCommit(fleet.author, operations, envelope, signer);
    if (code === 'malformed') fleet.source.write(2n, '{"payload":');
    else fleet.source.put(2n, code === 'signature' ? withBrokenSignature(jws) : jws);
    const before = fleet.agent('eu1').holder.state;
    await fleet.round(2);
    expect([...new Set(fleet.ownAlarms('eu1'))]).toEqual([code]);
    expect(fleet.agent('eu1').holder.state).toBe(before);
    expect(fleet.wordsOf('eu1').at(-1)).toMatchObject({ mode: 'live', version: 1n });
    fleet.source.remove(2n);
    await fleet.commit(good);
    await fleet.round(2);
    expect([fleet.headAt('eu1'), fleet.activeAt('eu1')]).toEqual([2n, 2n]);
  });
});

describe('what peers bring', () => {
  const from = (site: string) => ({ cluster: 'demo', site, agent: `${site}-1` });

  async function seal(fleet: Fleet, parts: Partial<Record<keyof Delta, unknown>> = {}) {
    const delta = { v: 1, trust: [fleet.trust.jws], commits: [], attestations: [], ...parts };
    return sealDelta(delta as unknown as Delta, from('us1'), agentKey('us1'), crypto);
  }

  // Attack: one stolen agent hands around a commit that an operator signed and nobody decided
  // (I16).
  test('attestations are taken, commits are not', async () => {
    const fleet = await Fleet.afloat();
    await commit(fleet.author, priorityOf(2));
    const words = [await attest(fleet.author, 'w1', fleet.nowMs)];
    const commits = [newestOf(fleet.author).jws];
    const answer = await fleet
      .agent('eu1')
      .deliver(await seal(fleet, { commits, attestations: words }));
    expect(answer).toEqual({
      id: 'eu1-1',
      head: { generation: 1n, version: 1n },
      floor: { generation: 1n, version: 1n },
      refused: [],
    });
    expect(fleet.headAt('eu1')).toBe(1n);
    const held = fleet.agent('eu1').holder.book.latest.get(agentKey('w1').kid);
    expect(held?.signed.value.version).toBe(2n);
  });

  const broken = (text: string) => {
    const delta = JSON.parse(text) as { sender: Jws };
    return JSON.stringify({ ...delta, sender: withBrokenSignature(delta.sender) });
  };
  const many = Array.from({ length: ATTESTATIONS_PER_DELTA_MAX + 1 }, () => ({}));
  const bare = { v: 1, trust: [], commits: [], attestations: [] } as const;
  test.each<readonly [string, string, (fleet: Fleet) => string | Promise<string>]>([
    ['nothing', 'malformed', () => ''],
    ['no JSON', 'malformed', () => 'hello'],
    ['no sender', 'malformed', () => JSON.stringify(bare)],
    ['too many words', 'malformed', (fleet) => seal(fleet, { attestations: many })],
    ['too many bytes', 'too-large', () => ' '.repeat(DELTA_BYTES_MAX + 1)],
    ['another protocol', 'version-unsupported', (fleet) => seal(fleet, { v: 3 })],
    ['a signature that does not hold', 'signature', async (fleet) => broken(await seal(fleet))],
    ['an operator', 'key-unknown', () => sealDelta(bare, from('us1'), keyNamed('alice'), crypto)],
    ['a stranger', 'key-unknown', () => sealDelta(bare, from('us1'), keyNamed('mallory'), crypto)],
    ['another site', 'sender', () => sealDelta(bare, from('w1'), agentKey('us1'), crypto)],
    [
      'another cluster',
      'cluster',
      () => sealDelta(bare, { ...from('us1'), cluster: 'other' }, agentKey('us1'), crypto),
    ],
    [
      'a body changed on the way',
      'sender',
      async (fleet) => JSON.stringify({ ...JSON.parse(await seal(fleet)), trust: [] }),
    ],
  ])('a delta of %s is refused (%s) and changes nothing (C9)', async (_, code, forged) => {
    const fleet = await Fleet.afloat();
    const agent = fleet.agent('eu1');
    const before = agent.holder;
    const answer = await agent.deliver(await forged(fleet));
    expect(answer).toEqual({ kind: 'refused', code, detail: expect.any(String) });
    expect(agent.holder).toBe(before);
    expect(fleet.ownAlarms('eu1')).toEqual([code]);
  });

  test.each<readonly [string, Partial<Attestation>, Signer]>([
    ['site', { site: 'w1' }, agentKey('us1')],
    ['author', { agent: 'us1-2' }, agentKey('us1')],
    ['cluster', { cluster: 'other' }, agentKey('us1')],
    ['key-unknown', {}, keyNamed('alice')],
    ['attestation-life', { expiresAt: START_MS + 60_000 }, agentKey('us1')],
  ])('a forged word (%s) counts for nobody and is alarmed with its sender', async (...given) => {
    const [code, forged, signer] = given;
    const fleet = await Fleet.afloat();
    const before = fleet.agent('eu1').holder.book;
    const word = await attest(fleet.author, 'us1', fleet.nowMs, forged, signer);
    const answer = await fleet.agent('eu1').deliver(await seal(fleet, { attestations: [word] }));
    expect(answer).toMatchObject({ refused: [code] });
    expect(fleet.agent('eu1').holder.book).toBe(before);
    expect(fleet.logs.at(-1)?.line).toMatchObject({ alarm: code, from: { site: 'us1' } });
  });
});

test('whatever the order: no version goes down, one digest each, all agree at last', async () => {
  await fc.assert(fc.asyncProperty(voyages, sail), { seed: SEED, numRuns: 25 });
}, 30_000);
