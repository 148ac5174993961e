// What one isolate holds (E4): nothing unverified enters, and nothing that it holds goes back.

import { describe, expect, test } from 'vitest';
import { findTenant } from '../../edge/control/refresh.ts';
import { type Standing, View } from '../../edge/control/view.ts';
import { encodeBase64url } from '../../shared/base64url.ts';
import { canonical, utf8 } from '../../shared/canonical.ts';
import type { MapName } from '../../shared/control/merkle-map.ts';
import type { Crypto } from '../../shared/crypto.ts';
import { digestBytes } from '../../shared/digest.ts';
import { ISOLATE_NODES_MAX, LOOKUP_FETCHES_MAX, REFRESH_MARK_MS } from '../../shared/limits.ts';
import { crypto, put, testTrust } from '../shared/kit.ts';
import { FakeStore, fakePorts } from './fake-ports.ts';
import { craft } from './forests.ts';
import { change, NOW, Origin, TWO } from './origin.ts';

const trust = await testTrust();
const origin = await Origin.start(trust, change(1), change(2));
const { global } = origin.held.holder.state.manifest;

/** A view that stands on what `from` has newest. */
async function viewOf(from: Origin, nowMs = NOW, port: Crypto = crypto): Promise<View> {
  const view = new View(trust, port);
  await view.adopt(await from.freshHead(nowMs), nowMs);
  const digest = view.missingGlobal;
  if (digest !== null) view.takeGlobal(from.pieces.get(digest) ?? '', digest);
  return view;
}

function standingOf(view: View): Standing {
  if (view.standing === null) throw new Error('the view stands on nothing');
  return view.standing;
}

describe('a view never goes back (I2, C10)', () => {
  test('an older head with younger words lowers nothing', async () => {
    const view = await viewOf(origin);
    const behind = await Origin.start(trust, change(1));
    expect(await view.adopt(await behind.freshHead(NOW + 2_000), NOW + 2_000)).toBe(true);
    expect(standingOf(view).link.version).toBe(3n);
  });

  test('an older head with older words renews nothing', async () => {
    const view = await viewOf(origin);
    expect(await view.adopt(await origin.freshHead(NOW - 4_000), NOW + 1_000)).toBe(true);
    expect(view.ageMs(NOW + 1_000)).toBe(1_000);
    expect(view.status(NOW).counters).toEqual({ 'attestation-old': 2 });
  });

  test('a head without commits takes nothing away', async () => {
    const view = await viewOf(origin);
    await view.adopt('{"attestations":[],"commits":[],"v":1}', NOW);
    expect(standingOf(view).link.version).toBe(3n);
    expect(view.ageMs(NOW)).toBe(0);
  });

  test('another commit where one is active is an equivocation, whoever attests it', async () => {
    const view = await viewOf(origin);
    const before = standingOf(view);
    const other = await Origin.start(trust, change(1), change(3));
    expect(await view.adopt(await other.freshHead(NOW + 2_000), NOW + 2_000)).toBe(false);
    expect(view.standing).toBe(before);
    expect(view.status(NOW).counters).toEqual({ equivocation: 1 });
  });

  test('a commit that does not follow what is active is refused', async () => {
    const view = await viewOf(origin);
    const other = await Origin.start(trust, change(1), change(3), change(4));
    const head = JSON.parse(await other.freshHead(NOW)) as { commits: object[] };
    head.commits.splice(0, 3);
    expect(await view.adopt(JSON.stringify(head), NOW)).toBe(false);
    expect(view.status(NOW).counters).toEqual({ previous: 1 });
  });

  test('an undecided commit in front of what is active gives way to the decided one', async () => {
    const view = await viewOf(origin);
    const [undecided, decided] = [origin.fork(), origin.fork()];
    await undecided.commit(change(8));
    await decided.commit(change(9));
    await view.adopt(undecided.head(await undecided.words(NOW + 1_000, ['w1'])), NOW + 1_000);
    expect(standingOf(view).link.version).toBe(3n);
    await view.adopt(await decided.freshHead(NOW + 2_000), NOW + 2_000);
    expect(view.missingGlobal).toBe(decided.held.holder.state.manifest.global);
  });

  /** A view whose next verification waits until `open` is called. */
  async function gatedView(nowMs: number) {
    const [arrived, opened] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let gate: Promise<void> | null = null;
    const gated: Crypto = {
      ...crypto,
      async verify(...signed) {
        const waits = gate;
        gate = null;
        if (waits !== null) arrived.resolve();
        await waits;
        return crypto.verify(...signed);
      },
    };
    const view = await viewOf(origin, nowMs, gated);
    gate = opened.promise;
    return { view, arrived: arrived.promise, open: opened.resolve };
  }

  // Two requests refresh at once: the one that began earlier, on a cached head, ends later.
  test('a slow old head that is adopted after a new one makes nothing older (E3)', async () => {
    const { view, arrived, open } = await gatedView(NOW - 10_000);
    const slow = view.adopt(await origin.freshHead(NOW - 5_000), NOW);
    await arrived;
    await view.adopt(await origin.freshHead(NOW), NOW);
    expect(view.ageMs(NOW)).toBe(0);
    open();
    await slow;
    expect(view.ageMs(NOW)).toBe(0);
  });

  // What sites said of a newer version bounds what may be served (E3); a replayed older word of one
  // of them must not pass for its newest.
  test('words that were heard while a newer head was verified are not forgotten', async () => {
    const { view, arrived, open } = await gatedView(NOW - 10_000);
    const slow = view.adopt(await origin.freshHead(NOW), NOW);
    await arrived;
    const ahead = origin.fork();
    await ahead.commit(change(8));
    const words = await ahead.words(NOW + 1, ['eu1', 'w1']);
    await view.adopt(origin.head(words), NOW);
    expect(view.isBehind(standingOf(view))).toBe(true);
    open();
    await slow;
    expect(view.isBehind(standingOf(view))).toBe(true);
    expect(view.ageMs(NOW)).toBe(0);
  });

  // Commits follow one another fast: a gateway's words are of the version after the store's head.
  test('words that are heard while a head is on its way do not void the words in it', async () => {
    const view = await viewOf(origin, NOW - 3_000);
    const ahead = origin.fork();
    const acme = { hosts: ['acme.example'], scope: 'eu', policy: 'std' };
    await ahead.commit([put('tenants/acme/tenant', { ...acme, priority: 7 })]);
    const [head, version] = [await ahead.freshHead(NOW), ahead.version];
    await ahead.commit(change(9));
    const words = encodeBase64url(utf8(canonical(await ahead.words(NOW + 20))));
    view.beginRefresh(NOW + 2_000);
    await view.hear(words, NOW + 20);
    await view.adopt(head, NOW + 30);
    expect([standingOf(view).link.version, view.ageMs(NOW + 30)]).toEqual([version, 30]);
    // One that began before it, and ends.
    await view.endRefresh(NOW + 1_999, NOW + 30);
    expect(view.isBehind(standingOf(view))).toBe(false);
    await view.endRefresh(NOW + 2_000, NOW + 30);
    expect(view.isBehind(standingOf(view))).toBe(true);
  });

  // Words come with gateways' answers, without commits: they say nothing about those.
  test('a commit that came while words were verified is not lost', async () => {
    const { view, arrived, open } = await gatedView(NOW - 10_000);
    const words = await origin.words(NOW);
    const slow = view.adopt(JSON.stringify({ v: 1, commits: [], attestations: words }), NOW);
    await arrived;
    const ahead = origin.fork();
    await ahead.commit(change(8));
    await view.adopt(ahead.head(await ahead.words(NOW + 1, ['w1'])), NOW);
    open();
    await slow;
    expect([view.ageMs(NOW), view.missingGlobal]).toEqual([0, null]);
    const more = await ahead.words(NOW + 2, ['eu1']);
    await view.adopt(JSON.stringify({ v: 1, commits: [], attestations: more }), NOW);
    expect(view.missingGlobal).toBe(ahead.held.holder.state.manifest.global);
  });

  test('words of sites that name a version which is not held renew nothing (E3)', async () => {
    const view = await viewOf(origin);
    const ahead = origin.fork();
    await ahead.commit(change(8));
    await view.adopt(origin.head(await ahead.words(NOW + 4_000)), NOW + 4_000);
    expect(view.ageMs(NOW + 4_000)).toBe(4_000);
    await view.adopt(await ahead.freshHead(NOW + 5_000), NOW + 5_000);
    const { global: theirs } = ahead.held.holder.state.manifest;
    view.takeGlobal(ahead.pieces.get(theirs) ?? '', theirs);
    expect(view.ageMs(NOW + 5_000)).toBe(0);
  });
});

describe('pieces', () => {
  test('the global part of another version is not taken for this one (E2)', async () => {
    const view = new View(trust, crypto);
    await view.adopt(await origin.freshHead(NOW), NOW);
    const other = await Origin.start(trust, change(5));
    const theirs = other.held.holder.state.manifest.global;
    const text = other.pieces.get(theirs) ?? '';
    expect(view.takeGlobal(text, global)?.code).toBe('digest');
    expect(view.takeGlobal(text, theirs)).toBeNull();
    expect(view.standing).toBeNull();
    expect(view.missingGlobal).toBe(global);
  });

  test.each([
    ['hosts', 'tenants'],
    ['tenants', 'hosts'],
  ] as const)('a node of %s is not taken as one of %s (C8)', async (map, as) => {
    const view = await viewOf(origin);
    const digest = origin.held.holder.state.manifest[map];
    const text = origin.pieces.get(digest) ?? '';
    expect(view.takeNode(text, as, digest)?.code).toBe('malformed');
    expect(view.takeNode(text, map, digest)).toBeNull();
  });
});

describe('the nodes that are held (E4)', () => {
  const host = 'globex.example';

  async function full(): Promise<{ view: View; fill: (count: number) => void }> {
    const view = await viewOf(origin);
    const { manifest } = standingOf(view).link;
    for (const map of ['hosts', 'tenants'] as const) {
      view.takeNode(origin.pieces.get(manifest[map]) ?? '', map, manifest[map]);
    }
    let made = 0;
    const fill = (count: number) => {
      for (let i = 0; i < count; i++) takeFiller(view, made++);
    };
    return { view, fill };
  }

  function takeFiller(view: View, n: number, map: MapName = 'hosts'): void {
    const text = `{"leaf":[["h${n}.example","t"]],"map":"${map}"}`;
    expect(view.takeNode(text, map, digestBytes(utf8(text), crypto))).toBeNull();
  }

  test('just ISOLATE_NODES_MAX are held', async () => {
    const { view, fill } = await full();
    fill(ISOLATE_NODES_MAX - 2);
    expect(view.lookUp(host, standingOf(view)).kind).toBe('known');
  });

  test('one over ISOLATE_NODES_MAX, and the oldest is gone', async () => {
    const { view, fill } = await full();
    fill(ISOLATE_NODES_MAX - 1);
    expect(view.lookUp(host, standingOf(view))).toMatchObject({ kind: 'missing', map: 'hosts' });
  });

  test('what was used last goes last', async () => {
    const { view, fill } = await full();
    fill(ISOLATE_NODES_MAX - 2);
    view.lookUp(host, standingOf(view));
    fill(ISOLATE_NODES_MAX - 2);
    expect(view.lookUp(host, standingOf(view)).kind).toBe('known');
    fill(ISOLATE_NODES_MAX - 1);
    expect(view.lookUp(host, standingOf(view)).kind).toBe('missing');
  });
});

describe('a look-up', () => {
  /** What a cold isolate finds of `host` in maps of that many nodes, and how often it fetched. */
  async function lookUp(depths: Parameters<typeof craft>[2], host = 'a.deep.example') {
    const forest = await craft(origin, host, depths);
    const view = new View(trust, crypto);
    await view.adopt(forest.head, NOW);
    view.takeGlobal(origin.pieces.get(global) ?? '', global);
    const store = new FakeStore('weur', forest, forest.head);
    const ports = fakePorts([store]);
    const look = () => ports.clock.run(findTenant(view, standingOf(view), host, ports));
    return { found: await look(), fetches: store.calls.length, again: look, store };
  }

  test('finds what lies LOOKUP_FETCHES_MAX nodes deep', async () => {
    const { found, fetches } = await lookUp({ exact: LOOKUP_FETCHES_MAX - 1, tenants: 1 });
    expect(found).toMatchObject({ kind: 'known', id: 'globex' });
    expect(fetches).toBe(LOOKUP_FETCHES_MAX);
  });

  test('fetches at most LOOKUP_FETCHES_MAX nodes; the next one goes on from there', async () => {
    const { found, fetches, again } = await lookUp({ exact: LOOKUP_FETCHES_MAX, tenants: 1 });
    expect(found).toBeNull();
    expect(fetches).toBe(LOOKUP_FETCHES_MAX);
    expect(await again()).toMatchObject({ kind: 'known', id: 'globex' });
  });

  // 256-ary maps of 10^6 entries are four nodes deep: the exact name is looked for and absent, the
  // wildcard shares its root, the tenant is in the other map.
  test('finds a wildcard host among a million tenants (C8)', async () => {
    const { found } = await lookUp({ exact: 4, wildcard: 4, tenants: 4 });
    expect(found).toMatchObject({ kind: 'known', id: 'globex' });
  });

  test('ends without an answer when a node cannot be had, and asks every store once', async () => {
    const forest = await craft(origin, 'a.deep.example', { exact: 2, tenants: 1 });
    const view = new View(trust, crypto);
    await view.adopt(forest.head, NOW);
    view.takeGlobal(origin.pieces.get(global) ?? '', global);
    const all = ['weur', 'enam'].map((id) => new FakeStore(id, { pieces: new Map() }));
    const ports = fakePorts(all);
    const found = findTenant(view, standingOf(view), 'a.deep.example', ports);
    expect(await ports.clock.run(found)).toBeNull();
    expect(all.map(({ calls }) => calls.length)).toEqual([1, 1]);
  });
});

test('a refresh is marked once until its mark lapses (E3)', () => {
  const view = new View(trust, crypto);
  expect([0, 1, REFRESH_MARK_MS - 1].map((ms) => view.mark(NOW + ms))).toEqual([
    true,
    false,
    false,
  ]);
  expect([0, 1].map((ms) => view.mark(NOW + REFRESH_MARK_MS + ms))).toEqual([true, false]);
});

test('the status of a view names its version, age and verdicts', async () => {
  const view = await viewOf(origin);
  expect(view.status(NOW + 500)).toEqual({
    trust: 1n,
    version: 3n,
    ageMs: 500,
    verdicts: { eu1: 'up', us1: 'up' },
    counters: {},
  });
  expect(TWO).toHaveLength(trust.threshold);
});
