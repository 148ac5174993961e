// The agent's loop: three agents on one source, a network and a clock that the test holds.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Attestation } from '../../shared/control/attestation.ts';
import { DELTA_VERSION, sealDelta } from '../../shared/control/delta.ts';
import type { Envelope, Operation } from '../../shared/control/envelope.ts';
import type { Jws } from '../../shared/control/jws.ts';
import { DELTA_BYTES_MAX } from '../../shared/limits.ts';
import { Fleet, joinOf, peersOf, START_MS, settled } from '../fakes/fleet.ts';
import { type Mishap } from '../fakes/memory-keep.ts';
import { runVoyage, steps } from '../fakes/voyage.ts';
import { digestNamed, SEED, withBrokenSignature } from '../shared/forge.ts';
import {
  agentKey,
  attest,
  commit,
  crypto,
  FIRST,
  keyNamed,
  newHolder,
  put,
  receive,
  SITES,
  type SiteName,
  signCommit,
  type TestHolder,
} from '../shared/kit.ts';

const HOUR_MS = 3_600_000;

function change(priority: number): readonly Operation[] {
  const hosts = ['*.acme.example', 'acme.example'];
  return [put('tenants/acme/tenant', { hosts, scope: 'eu', policy: 'std', priority })];
}

/** All three agents stand on version 1, and it is active. */
async function afloat(): Promise<Fleet> {
  const fleet = await Fleet.start();
  await fleet.commit(FIRST);
  await fleet.round(2);
  expect(SITES.map((site) => activeAt(fleet, site))).toEqual([1n, 1n, 1n]);
  return fleet;
}

function activeAt(fleet: Fleet, site: SiteName): bigint | null {
  return fleet.agent(site).standing?.link.version ?? null;
}

function headAt(fleet: Fleet, site: SiteName): bigint {
  return fleet.agent(site).holder.state.manifest.version;
}

/** A second history on the same first commit, signed by the same operator. */
async function fork(fleet: Fleet): Promise<TestHolder> {
  const other = newHolder(fleet.trust);
  await receive(other, fleet.author.commits[0]);
  await commit(other, change(9));
  return other;
}

function newestOf(held: TestHolder): Jws {
  const jws = held.commits.at(-1);
  if (jws === undefined) throw new Error('no commit');
  return jws;
}

/** C10, H3: one digest a version for ever, and no number twice. */
function expectHonest(words: readonly Attestation[]): void {
  const digests = new Map(words.map(({ version, envelope }) => [version, envelope]));
  for (const { version, envelope } of words) expect(digests.get(version)).toBe(envelope);
  const seqs = words.map(({ seq }) => seq);
  expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => (a < b ? -1 : 1)));
}

describe('one decided history (C10)', () => {
  test('a commit is active where it is held as soon as two of three sites attest it', async () => {
    const fleet = await Fleet.start();
    await fleet.commit(FIRST);
    await fleet.turn('eu1');
    await fleet.deliverAll();
    expect(SITES.map((site) => activeAt(fleet, site))).toEqual([null, null, null]);
    await fleet.turn('us1');
    await fleet.deliverAll();
    expect(SITES.map((site) => activeAt(fleet, site))).toEqual([1n, 1n, null]);
    // The witness heard both, and has not read the commit itself until now.
    await fleet.turn('w1');
    expect(activeAt(fleet, 'w1')).toBe(1n);
  });

  test('a gateway goes on deciding by what is active while the head is ahead', async () => {
    const fleet = await afloat();
    const standing = fleet.agent('eu1').standing;
    await fleet.commit(change(2));
    await fleet.turn('eu1');
    await fleet.deliverAll();
    expect(headAt(fleet, 'eu1')).toBe(2n);
    expect(fleet.agent('eu1').standing?.link).toBe(standing?.link);
    expect(fleet.agent('eu1').standing?.global).toBe(standing?.global);
  });

  test('nextChange resolves when another version is active, and not before', async () => {
    const fleet = await afloat();
    const seen: string[] = [];
    void fleet
      .agent('eu1')
      .nextChange()
      .then(() => seen.push('changed'));
    await fleet.round(2);
    await fleet.commit(change(2));
    await fleet.turn('eu1');
    expect(seen).toEqual([]);
    await fleet.turn('us1');
    await fleet.deliverAll();
    expect(seen).toEqual(['changed']);
  });

  test('a change is attested at once, and nothing else before the interval is over (H3)', async () => {
    const fleet = await afloat();
    await fleet.turn();
    const words = () => SITES.map((site) => fleet.wordsOf(site).length);
    const before = words();
    fleet.nowMs += 1_999;
    await fleet.turn();
    expect(words()).toEqual(before);
    await fleet.commit(change(2));
    await fleet.turn();
    expect(words()).toEqual(before.map((count) => count + 1));
  });

  test('an agent hears of a site it cannot reach by relay (H3)', async () => {
    const fleet = await afloat();
    await fleet.turn('w1');
    const [word] = fleet.wordsOf('w1').slice(-1);
    const [toEu1] = fleet.wire.splice(0, 1);
    expect(toEu1?.to).toBe('eu1');
    await fleet.deliverAll();
    fleet.nowMs += 2_000;
    await fleet.turn('us1');
    await fleet.deliverAll();
    const held = fleet.agent('eu1').holder.book.latest.get(agentKey('w1').kid);
    expect(held?.signed.value).toEqual(word);
  });
});

describe('kept first, said then (C10)', () => {
  test('nothing is sent, and nothing counted, before the keep has it', async () => {
    const fleet = new Fleet();
    await fleet.commit(FIRST);
    const gate = Promise.withResolvers<void>();
    const keep = fleet.keeps.eu1;
    const slow = {
      load: () => keep.load(),
      save: (kept: Parameters<typeof keep.save>[0]) => gate.promise.then(() => keep.save(kept)),
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

  // What the process leaves behind at each step; then the clock is put back, and the source holds
  // another commit of the version that was, or was not, sworn to.
  test.each<readonly [Mishap | 'dies-sent', boolean]>([
    ['rejects', true],
    ['dies-before', true],
    ['dies-after', false],
    ['rejects-after', false],
    ['dies-sent', false],
  ])('a crash that %s leaves one digest and no number twice', async (mishap, free) => {
    const fleet = await afloat();
    await fleet.commit(change(2));
    if (mishap !== 'dies-sent') fleet.keeps.eu1.mishap = mishap;
    void fleet
      .agent('eu1')
      .turn()
      .catch(() => {});
    await settled();
    fleet.crash('eu1');
    fleet.nowMs -= HOUR_MS;
    const other = await fork(fleet);
    fleet.source.put(2n, newestOf(other));
    await fleet.begin('eu1');
    for (let i = 0; i < 3; i++) {
      await fleet.turn('eu1');
      fleet.nowMs += 2_000;
    }
    expectHonest(fleet.wordsOf('eu1'));
    // Free to attest what the source has now, only where nothing else was ever said or kept.
    const said = fleet.wordsOf('eu1').some(({ envelope }) => envelope === digestOfHead(other));
    expect(said).toBe(free);
    expect(fleet.alarms('eu1').includes('equivocation')).toBe(!free);
  });

  test('after a restart on a clock put back, numbers go on from the kept one (H3)', async () => {
    const fleet = await afloat();
    const last = fleet.keeps.eu1.kept?.seq ?? 0n;
    fleet.nowMs = START_MS - HOUR_MS;
    await fleet.begin('eu1');
    await fleet.turn('eu1');
    expect(fleet.wordsOf('eu1').at(-1)?.seq).toBe(last + 1n);
  });

  // An hour of silence takes the site out of every count: the clock's step may not decide that.
  test('an agent whose clock is put back goes on attesting (H3)', async () => {
    const fleet = await afloat();
    const before = fleet.wordsOf('eu1').length;
    fleet.nowMs -= HOUR_MS;
    for (let i = 0; i < 3; i++) {
      await fleet.turn('eu1');
      fleet.nowMs += 2_000;
    }
    expect(fleet.wordsOf('eu1').length).toBeGreaterThan(before);
    expectHonest(fleet.wordsOf('eu1'));
  });
});

describe('a source that cannot be trusted', () => {
  test('put back to an older state: alarm, frozen at what was sworn, until it is back', async () => {
    const fleet = await afloat();
    await fleet.commit(change(2));
    await fleet.round();
    fleet.source.cutAfter(1n);
    await fleet.round(2);
    expect(fleet.alarms('eu1')).toContain('rollback');
    expect(fleet.wordsOf('eu1').at(-1)).toMatchObject({ mode: 'frozen', version: 2n });
    expect(activeAt(fleet, 'eu1')).toBe(2n);
    fleet.source.put(2n, newestOf(fleet.author));
    await fleet.round();
    expect(fleet.wordsOf('eu1').at(-1)).toMatchObject({ mode: 'live', version: 2n });
  });

  test('put back while the agent was away: alarm, and it attests nothing (I2)', async () => {
    const fleet = await afloat();
    await fleet.commit(change(2));
    await fleet.round();
    fleet.source.cutAfter(1n);
    const before = fleet.wordsOf('eu1').length;
    await fleet.begin('eu1');
    await fleet.round(3);
    expect(fleet.alarms('eu1')).toContain('rollback');
    expect(fleet.wordsOf('eu1').length).toBe(before);
  });

  test('the head replaced by another signed commit: alarm, frozen, nothing moves', async () => {
    const fleet = await afloat();
    await fleet.commit(change(2));
    await fleet.round();
    const held = fleet.agent('eu1').holder.state.envelope;
    fleet.source.put(2n, newestOf(await fork(fleet)));
    await fleet.round(2);
    expect(fleet.alarms('eu1')).toContain('equivocation');
    expect(fleet.agent('eu1').holder.state.envelope).toBe(held);
    expect(fleet.wordsOf('eu1').at(-1)).toMatchObject({ mode: 'frozen', envelope: held });
    expectHonest(fleet.wordsOf('eu1'));
  });

  // Attack: the head made unreadable, so that agents renew a state whose end nobody can see.
  test('the head replaced by rubbish: alarm, and no live word for it (E3, H3)', async () => {
    const fleet = await afloat();
    fleet.source.write(1n, 'rubbish');
    await fleet.round(2);
    expect(fleet.alarms('eu1')).toContain('malformed');
    expect(fleet.wordsOf('eu1').at(-1)).toMatchObject({ mode: 'frozen', version: 1n });
  });

  test('unreadable: alarm, frozen, and live again by itself (E6)', async () => {
    const fleet = await afloat();
    fleet.cutOff.add('eu1');
    await fleet.commit(change(2));
    await fleet.round(2);
    expect(fleet.alarms('eu1')).toContain('source-unreadable');
    expect(fleet.wordsOf('eu1').at(-1)).toMatchObject({ mode: 'frozen', version: 1n });
    expect([headAt(fleet, 'eu1'), activeAt(fleet, 'us1')]).toEqual([1n, 2n]);
    fleet.cutOff.clear();
    await fleet.round();
    expect(fleet.wordsOf('eu1').at(-1)).toMatchObject({ mode: 'live', version: 2n });
    expect(activeAt(fleet, 'eu1')).toBe(2n);
  });
});

describe('joining (C10)', () => {
  test('a new agent without a join is refused', async () => {
    const fleet = new Fleet();
    expect(await fleet.tryBegin('eu1', { join: null })).toMatchObject({ code: 'not-attested' });
  });

  test('an agent with a keep needs no join', async () => {
    const fleet = await afloat();
    expect(await fleet.tryBegin('eu1', { join: null })).not.toHaveProperty('code');
  });

  test('a keep that cannot be read stops the agent', async () => {
    const fleet = new Fleet();
    fleet.keeps.eu1.broken = 'bad sector';
    await expect(fleet.tryBegin('eu1')).rejects.toThrow('bad sector');
  });

  test('from version N on it attests, and nothing before', async () => {
    const fleet = await afloat();
    await commit(fleet.author, change(2));
    const join = joinOf('eu1', { version: 2n, envelope: digestOfHead(fleet.author) });
    fleet.crash('eu1');
    Object.assign(fleet.keeps, { eu1: new (fleet.keeps.eu1.constructor as never)() });
    await fleet.begin('eu1', { join });
    const before = fleet.wordsOf('eu1').length;
    await fleet.round(2);
    expect(fleet.wordsOf('eu1').length).toBe(before);
    await fleet.source.append(2n, newestOf(fleet.author));
    await fleet.round(2);
    expect(fleet.wordsOf('eu1').at(-1)).toMatchObject({ version: 2n, mode: 'live' });
  });
});

function digestOfHead({ holder }: TestHolder) {
  const { envelope } = holder.state;
  if (envelope === null) throw new Error('no head');
  return envelope;
}
void [fc, sealDelta, DELTA_VERSION, DELTA_BYTES_MAX, peersOf, runVoyage, steps, digestNamed, SEED];
void [withBrokenSignature, attest, crypto, keyNamed, signCommit];
export type { Envelope };
