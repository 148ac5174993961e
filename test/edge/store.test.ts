// An edge store on real rows: what it takes, what it refuses, and that a refusal changes nothing
// (C9, C10, I2).

import { describe, expect, test } from 'vitest';
import { utf8 } from '../../shared/canonical.ts';
import type { StoreAnswer } from '../../shared/control/answer.ts';
import { digestBytes } from '../../shared/digest.ts';
import { COMMITS_PER_DELTA_MAX, DELTA_BYTES_MAX } from '../../shared/limits.ts';
import { withBrokenSignature } from '../shared/forge.ts';
import { crypto, keyNamed, signCommit, testTrust } from '../shared/kit.ts';
import { brief, dump, HeldStore, inNewObject, withStore } from './held-store.ts';
import { change, NOW, Origin, sealed, TWO } from './origin.ts';

const trust = await testTrust();
const origin = await Origin.start(trust, change(1), change(2), change(3), change(4));
const { commits } = origin;
const other = await Origin.start(trust, change(1), change(9), change(3));

/** Whatever the store answers, nothing of it may have changed. */
async function unchanged(
  held: HeldStore,
  storage: DurableObjectStorage,
  ask: () => Promise<StoreAnswer>,
): Promise<string> {
  const before = [held.running.head(), dump(storage)];
  const answer = await ask();
  expect([held.running.head(), dump(storage)]).toEqual(before);
  return brief(answer);
}

describe('what it takes', () => {
  test('is taken in order, in one delta or in several', () =>
    withStore(trust, async (held) => {
      expect(brief(await held.take({ commits: commits.slice(0, 1) }))).toBe('1/-');
      expect(brief(await held.take({ commits: commits.slice(1, 4) }))).toBe('4/-');
      expect(brief(await held.take({ commits: commits.slice(4) }))).toBe('5/-');
    }));

  test('again changes nothing (C9)', () =>
    withStore(trust, async (held, storage) => {
      await held.take({ commits });
      for (const again of [commits, commits.slice(2), commits.slice(0, 2)]) {
        expect(await unchanged(held, storage, () => held.take({ commits: again }))).toBe('5/-');
      }
      expect(held.alarms()).toEqual([]);
    }));

  test('overlaps with what is held, and only what is new is added', () =>
    withStore(trust, async (held) => {
      await held.take({ commits: commits.slice(0, 3) });
      expect(brief(await held.take({ commits: commits.slice(1) }))).toBe('5/-');
    }));

  test('becomes active, and its floor a row, by a threshold of sites (C10, E5)', () =>
    withStore(trust, async (held, storage) => {
      await held.take({ commits });
      const one = { attestations: await origin.words(NOW, ['eu1']) };
      expect(brief(await held.take(one))).toBe('5/-');
      const two = { attestations: await origin.words(NOW, ['w1']) };
      expect(brief(await held.take(two))).toBe('5/5');
      expect(dump(storage).floor).toMatchObject([{ generation: '1', version: '5' }]);
    }));

  test('is written with every piece of its state, by its digest (C8)', () =>
    withStore(trust, async (held) => {
      await held.take({ commits });
      const { global, usage, hosts, tenants } = origin.held.holder.state.manifest;
      for (const digest of [global, usage, hosts, tenants]) {
        expect(held.running.piece(digest)).toBe(origin.pieces.get(digest));
      }
      expect(held.running.piece('nothing')).toBeNull();
    }));

  test('by deltas that cross is taken once', () =>
    withStore(trust, async (held) => {
      const texts = [commits, commits.slice(0, 2), commits].map((some) =>
        sealed({ commits: some }),
      );
      const sent = (await Promise.all(texts)).map((text) => held.running.ingest(text));
      expect((await Promise.all(sent)).at(-1)).toMatchObject({ refused: [] });
      expect(brief(await held.take({}))).toBe('5/-');
      expect(held.alarms()).toEqual([]);
    }));

  test('of two histories that cross is one, and the other is an equivocation (C9)', () =>
    withStore(trust, async (held) => {
      const texts = [commits.slice(0, 4), other.commits].map((some) => sealed({ commits: some }));
      const sent = (await Promise.all(texts)).map((text) => held.running.ingest(text));
      const answers = await Promise.all(sent);
      expect(answers.map(brief).sort()).toEqual(['4/-', '4/- equivocation']);
    }));
});

describe('what it refuses', () => {
  const held3 = await3();

  async function await3(): Promise<Origin> {
    return Origin.start(trust, change(1), change(2));
  }

  test.each([
    ['a hole', 'gap', async () => [commits[4]]],
    ['one that follows another', 'previous', async () => [await after3({ previous: null })]],
    ['another commit where one is held', 'equivocation', async () => [other.commits[2]]],
    ['another cluster', 'cluster', async () => [await after3({ cluster: 'other' })]],
    ['another generation', 'generation', async () => [await after3({ generation: 2n })]],
    ['a changed signature', 'signature', async () => [withBrokenSignature(await after3({}))]],
    ["a stranger's signature", 'key-unknown', async () => [await after3({}, 'stranger')]],
    ["an agent's signature", 'approvals', async () => [await after3({}, 'agent eu1-1')]],
    ["another operator's name", 'author', async () => [await after3({}, 'bob')]],
    ['another clock', 'lamport', async () => [await after3({ lamport: 9n })]],
    ['another result', 'manifest', async () => [await after3({ operations: [...change(8)] })]],
    ['no document', 'malformed', async () => [{}]],
    ['approvals', 'approvals', async () => [await after3({ approvals: [1] })]],
  ])('%s: %s', async (_, code, forged) => {
    const bad = await forged();
    await withStore(trust, async (held, storage) => {
      await held.take({
        commits: commits.slice(0, 3),
        attestations: await (await held3).words(NOW),
      });
      const ask = () => held.take({ commits: bad });
      expect(await unchanged(held, storage, ask)).toBe(`3/3 ${code}`);
      expect(held.alarms()).toEqual([code]);
    });
  });

  async function after3(changes: Parameters<typeof signCommit>[2], key = 'alice') {
    const { held } = await held3;
    return signCommit(held, change(3), changes, keyNamed(key));
  }

  test('the rest of a run that has a fault, but not what came before it', () =>
    withStore(trust, async (held) => {
      const [first, second, third, ...rest] = commits;
      const broken = third === undefined ? third : withBrokenSignature(third);
      const answer = await held.take({ commits: [first, second, broken, ...rest] });
      expect(brief(answer)).toBe('2/- signature');
    }));

  test('one commit of a version that it let go of long ago: stale', () =>
    inNewObject(async (storage) => {
      const held = await HeldStore.open(storage, trust);
      await held.take({ commits });
      storage.sql.exec('DELETE FROM commits WHERE version < 4');
      await held.open();
      const ask = () => held.take({ commits: commits.slice(0, 1) });
      expect(await unchanged(held, storage, ask)).toBe('5/- stale');
    }));

  test.each([
    ['nonsense', 'malformed', async () => 'nonsense'],
    [
      'a stranger',
      'sender',
      async () => (await sealed({ commits })).replace('"v":1', '"v":1,"a":1'),
    ],
    [
      'one commit too many',
      'malformed',
      async () => sealed({ commits: Array(COMMITS_PER_DELTA_MAX + 1).fill(commits[0]) }),
    ],
    ['a body over the bound', 'too-large', async () => ' '.repeat(DELTA_BYTES_MAX + 1)],
  ])('%s: %s, though an edge let it through (E2)', async (_, code, text) => {
    const delta = await text();
    await withStore(trust, async (held, storage) => {
      const ask = () => held.running.ingest(delta);
      expect(await unchanged(held, storage, ask)).toBe(`0/- ${code} (${code})`);
    });
  });

  test.each([
    ['for another site', 'site', { site: 'us1' }],
    ["in another agent's name", 'author', { agent: 'us1-1' }],
    ['for another cluster', 'cluster', { cluster: 'other' }],
    ['from the future', 'attestation-clock', { issuedAt: NOW + 6_000, expiresAt: NOW + 7_000 }],
    ['that has expired', 'attestation-expired', { issuedAt: NOW - 9_000, expiresAt: NOW }],
    ['for a long time', 'attestation-life', { expiresAt: NOW + 15_001 }],
  ])('a word %s: %s', async (_, code, changes) => {
    const attestations = await origin.words(NOW, ['eu1'], changes);
    await withStore(trust, async (held, storage) => {
      await held.take({ commits });
      const ask = () => held.take({ attestations });
      expect(await unchanged(held, storage, ask)).toBe(`5/- ${code}`);
    });
  });
});

describe('what is active (C10)', () => {
  test('does not go back when agents do (I2)', () =>
    withStore(trust, async (held) => {
      const behind = await Origin.start(trust, change(1));
      await held.take({ commits, attestations: await origin.words(NOW) });
      const answer = await held.take({ attestations: await behind.words(NOW + 1_000) });
      expect(brief(answer)).toBe('5/5');
    }));

  test('is not moved by one site, whatever it signs (I16)', () =>
    withStore(trust, async (held) => {
      await held.take({ commits: commits.slice(0, 2) });
      await held.take({ attestations: await (await Origin.start(trust, change(1))).words(NOW) });
      const answer = await held.take({
        commits: commits.slice(2),
        attestations: await origin.words(NOW + 1_000, ['w1']),
      });
      expect(brief(answer)).toBe('5/2');
    }));
});

test('300 commits in a row, and every piece of the last is there', async () => {
  const grown = await Origin.start(trust);
  for (let n = 2; n <= 300; n++) await grown.commit(change(n));
  await withStore(trust, async (held) => {
    await held.takeAll(grown.commits);
    const answer = await held.take({ attestations: await grown.words(NOW, TWO) });
    expect(brief(answer)).toBe('300/300');
    const { manifest } = grown.held.holder.state;
    for (const digest of [manifest.global, manifest.hosts, manifest.tenants]) {
      const text = held.running.piece(digest) ?? '';
      expect(digestBytes(utf8(text), crypto)).toBe(digest);
    }
    const before = held.running.head();
    await held.open();
    await held.take({ attestations: await grown.words(NOW, TWO) });
    expect(held.running.head()).toBe(before);
  });
});
