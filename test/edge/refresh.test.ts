// How state comes to an isolate: cache, then stores (E1), everything verified (E2).

import { describe, expect, test } from 'vitest';
import { refresh } from '../../edge/control/refresh.ts';
import { storesNear } from '../../edge/control/stores.ts';
import { View } from '../../edge/control/view.ts';
import type { EdgeEnv } from '../../edge/env.ts';
import { canonical } from '../../shared/canonical.ts';
import {
  CACHED_HEAD_AGE_MS,
  HEAD_CACHE_S,
  NODE_CACHE_S,
  RACE_STAGGER_MS,
  SOFT_AGE_MS,
  STORE_READ_TIMEOUT_MS,
} from '../../shared/limits.ts';
import { crypto, put, testTrust } from '../shared/kit.ts';
import { FakeStore, fakePorts } from './fake-ports.ts';
import { change, NOW, Origin } from './origin.ts';
import { poisons } from './poison.ts';

const trust = await testTrust();
const origin = await Origin.start(trust, change(1), change(2));
const other = await Origin.start(trust, change(7), change(2));
const earlier = await Origin.start(trust, change(1));
const fresh = await origin.freshHead(NOW);
const { manifest } = origin.held.holder.state;
const poisoned = await poisons(origin, other, fresh);

function stores(head = fresh): readonly [FakeStore, FakeStore, FakeStore] {
  const named = (id: string) => new FakeStore(id, origin, head);
  return [named('weur'), named('enam'), named('apac')];
}

function callsOf(all: readonly FakeStore[]): readonly string[] {
  return all.flatMap(({ id, calls }) => calls.map((call) => `${id} ${call}`));
}

function versionOf(view: View): bigint | null {
  return view.standing?.link.version ?? null;
}

describe('the way of state', () => {
  test('a cold isolate asks the nearest store alone, and leaves it to the cache (E1)', async () => {
    const all = stores();
    const ports = fakePorts(all);
    const view = new View(trust, crypto);
    await ports.clock.run(refresh(view, ports));
    await ports.settle();
    expect(versionOf(view)).toBe(3n);
    expect(callsOf(all)).toEqual(['weur head', `weur ${manifest.global}`]);
    expect(Object.fromEntries(ports.cache.lives)).toEqual({
      head: HEAD_CACHE_S,
      [`piece/${manifest.global}`]: NODE_CACHE_S,
    });
    expect(ports.cache.held.get('head')).toBe(fresh);
  });

  test('a fresh isolate of a location that has it cached asks no store (E1)', async () => {
    const all = stores();
    const ports = fakePorts(all);
    await ports.clock.run(refresh(new View(trust, crypto), ports));
    await ports.settle();
    const before = callsOf(all);
    const view = new View(trust, crypto);
    await ports.clock.run(refresh(view, ports));
    expect(versionOf(view)).toBe(3n);
    expect(callsOf(all)).toEqual(before);
  });

  test('a cached head over CACHED_HEAD_AGE_MS is asked for again, at it not (E1)', async () => {
    for (const [ageMs, asked] of [
      [CACHED_HEAD_AGE_MS, 0],
      [CACHED_HEAD_AGE_MS + 1, 1],
    ] as const) {
      const all = stores();
      const ports = fakePorts(all);
      ports.cache.held.set('head', await origin.freshHead(NOW - ageMs));
      const view = new View(trust, crypto);
      await ports.clock.run(refresh(view, ports));
      expect(all[0].count('head'), `${ageMs} ms`).toBe(asked);
      expect(view.ageMs(NOW)).toBe(asked === 1 ? 0 : ageMs);
    }
  });

  test('the global part is loaded again only when its digest changed (E4)', async () => {
    const grown = await Origin.start(trust);
    const all = stores(await grown.freshHead(NOW)).map(
      ({ id, headText }) => new FakeStore(id, grown, headText),
    );
    const [store] = all as [FakeStore];
    const ports = fakePorts(all);
    const view = new View(trust, crypto);
    const globals: string[] = [];
    const next = async () => {
      ports.clock.nowMs += SOFT_AGE_MS + 1;
      store.headText = await grown.freshHead(ports.clock.nowMs);
      await ports.clock.run(refresh(view, ports));
      globals.push(grown.held.holder.state.manifest.global);
      expect(versionOf(view)).toBe(grown.version);
    };
    await next();
    const [first = ''] = globals;
    await grown.commit([
      put('tenants/globex/tenant', {
        hosts: ['globex.example', 'www.globex.example'],
        scope: 'atlantic',
        policy: 'std',
        priority: 1,
      }),
    ]);
    await next();
    expect(globals[1]).toBe(first);
    expect(store.count(first)).toBe(1);
    await grown.commit(change(1));
    await next();
    expect(globals[2]).not.toBe(first);
    expect(store.count(globals[2] ?? '')).toBe(1);
    // Back to the content before: another version, the digest of the first.
    await grown.commit([{ op: 'delete', key: 'global/latency/zrh' }]);
    await next();
    expect(globals[3]).toBe(first);
  });
});

// Words come in phase, so every isolate of a location finds its state soft at about one moment.
test('the isolates of a busy location ask a store about once a second together (E1)', async () => {
  const [isolates, seconds, wordsMs] = [20, 20, 2_300];
  const all = stores();
  const ports = fakePorts(all);
  const views = Array.from({ length: isolates }, () => new View(trust, crypto));
  const steps = (seconds * 1_000) / 50;
  for (let step = 0; step < steps; step++) {
    const nowMs = NOW + step * 50;
    ports.clock.nowMs = nowMs;
    if (step % (wordsMs / 50) === 0) {
      const head = await origin.freshHead(nowMs);
      for (const store of all) store.headText = head;
    }
    for (const view of views) {
      if (view.ageMs(nowMs) <= SOFT_AGE_MS || !view.mark(nowMs)) continue;
      await refresh(view, ports);
      await ports.settle();
    }
  }
  const heads = all.reduce((sum, store) => sum + store.count('head'), 0);
  expect(heads).toBeLessThanOrEqual(seconds / HEAD_CACHE_S);
  expect(heads).toBeGreaterThan(0);
});

describe('a poisoned cache (E2)', () => {
  test.each(poisoned)('head: %s is counted as %s and the store is asked', async (_, code, head) => {
    const all = stores();
    const ports = fakePorts(all);
    ports.cache.held.set('head', head);
    const view = new View(trust, crypto);
    await ports.clock.run(refresh(view, ports));
    await ports.settle();
    expect(versionOf(view)).toBe(3n);
    expect(all[0].count('head')).toBe(1);
    expect(view.status(NOW).counters).toEqual({ [code]: 1 });
    expect(ports.cache.held.get('head')).toBe(fresh);
  });

  test.each([
    ['nonsense', 'nonsense'],
    ['that of another version', canonical(earlier.held.holder.state.global)],
    ['the empty one', '{"latency":{},"policies":{},"scopes":{},"sites":{},"stores":{}}'],
    ['the right one with a space', ` ${origin.pieces.get(manifest.global)}`],
    ['a node of a map', origin.pieces.get(manifest.hosts) ?? ''],
  ])('global part: %s is counted and the store is asked', async (_, text) => {
    const all = stores();
    const ports = fakePorts(all);
    const key = `piece/${manifest.global}`;
    ports.cache.held.set('head', fresh).set(key, text);
    const view = new View(trust, crypto);
    await ports.clock.run(refresh(view, ports));
    await ports.settle();
    expect(versionOf(view)).toBe(3n);
    expect(view.status(NOW).counters).toEqual({ digest: 1 });
    expect(callsOf(all)).toEqual([`weur ${manifest.global}`]);
    expect(ports.cache.held.get(key)).toBe(origin.pieces.get(manifest.global));
  });

  test('a cache that fails is a cache without an answer', async () => {
    const all = stores();
    const failing = {
      get: () => Promise.reject(new Error('cache')),
      put: () => Promise.reject(new Error('cache')),
    };
    const ports = fakePorts(all, { cache: failing });
    const view = new View(trust, crypto);
    await ports.clock.run(refresh(view, ports));
    await ports.settle();
    expect(versionOf(view)).toBe(3n);
  });
});

describe('a store that lies (E2)', () => {
  test.each(poisoned)('head: %s is counted as %s, the next is asked', async (_, code, head) => {
    const all = stores();
    all[0].headText = head;
    const ports = fakePorts(all);
    const view = new View(trust, crypto);
    await ports.clock.run(refresh(view, ports));
    await ports.settle();
    expect(versionOf(view)).toBe(3n);
    expect(callsOf(all.slice(1))).toEqual(['enam head']);
    expect(view.status(NOW).counters).toEqual({ [code]: 1 });
    expect(ports.cache.held.get('head')).toBe(fresh);
  });

  test('every store lies: the isolate has nothing and says so', async () => {
    for (const [name, , head] of poisoned) {
      const all = stores(head);
      const ports = fakePorts(all);
      const view = new View(trust, crypto);
      await ports.clock.run(refresh(view, ports));
      expect(view.standing, name).toBeNull();
      expect(callsOf(all)).toEqual(['weur head', 'enam head', 'apac head']);
    }
  });

  test('a damaged piece is counted and the next store is asked', async () => {
    const all = stores();
    const bad = new FakeStore('weur', { pieces: new Map([[manifest.global, '{}']]) }, fresh);
    const ports = fakePorts([bad, ...all.slice(1)]);
    const view = new View(trust, crypto);
    await ports.clock.run(refresh(view, ports));
    expect(versionOf(view)).toBe(3n);
    expect(view.status(NOW).counters).toEqual({ digest: 1 });
  });

  test("one site's word, however often it is said, moves nothing (C10, I16)", async () => {
    const words = [
      ...(await origin.words(NOW, ['eu1'])),
      ...(await origin.words(NOW + 1, ['eu1'])),
      ...(await origin.words(NOW + 2, ['eu1'])),
    ];
    const ports = fakePorts(stores(origin.head(words)));
    const view = new View(trust, crypto);
    await ports.clock.run(refresh(view, ports));
    expect(view.standing).toBeNull();
  });
});

describe('a store that fails', () => {
  test.each(['rejects', 'hangs'] as const)('one that %s: the next is asked', async (broken) => {
    const all = stores();
    all[0].broken = broken;
    const ports = fakePorts(all);
    const view = new View(trust, crypto);
    await ports.clock.run(refresh(view, ports));
    expect(versionOf(view)).toBe(3n);
    expect(callsOf(all).filter((call) => call.endsWith('head'))).toEqual([
      'weur head',
      'enam head',
    ]);
    expect(ports.clock.nowMs - NOW).toBeLessThanOrEqual(2 * STORE_READ_TIMEOUT_MS);
  });

  test('one that has no piece: the next is asked', async () => {
    const all = stores();
    const empty = new FakeStore('weur', { pieces: new Map() }, fresh);
    const ports = fakePorts([empty, ...all.slice(1)]);
    const view = new View(trust, crypto);
    await ports.clock.run(refresh(view, ports));
    expect(versionOf(view)).toBe(3n);
  });

  // Asked a stagger apart, so the last one's time ends the wait (E3).
  test('all that hang are given up, each within its time, and nothing is thrown', async () => {
    const all = stores();
    for (const store of all) store.broken = 'hangs';
    const ports = fakePorts(all);
    const view = new View(trust, crypto);
    await ports.clock.run(refresh(view, ports));
    expect(view.standing).toBeNull();
    expect(ports.clock.nowMs - NOW).toBe(2 * RACE_STAGGER_MS + STORE_READ_TIMEOUT_MS);
  });

  test('one that knows less than a threshold attests is not the last word (E1)', async () => {
    const all = stores();
    all[0].headText = origin.head();
    const ports = fakePorts(all);
    const view = new View(trust, crypto);
    await ports.clock.run(refresh(view, ports));
    expect(versionOf(view)).toBe(3n);
  });

  // Attack (freeze): a store that is cut off from the agents still answers, with what it had.
  test('one whose head is past the soft age is not the last word (E1, E3)', async () => {
    const old = await origin.freshHead(NOW - 10_000);
    const view = new View(trust, crypto);
    const before = fakePorts(stores(old));
    before.clock.nowMs = NOW - 10_000;
    await before.clock.run(refresh(view, before));
    const all = stores();
    all[0].headText = old;
    const ports = fakePorts(all);
    await ports.clock.run(refresh(view, ports));
    expect(view.ageMs(NOW)).toBe(0);
  });

  // A smaller deployment, or an older configuration: the binding of the first store is missing.
  test('one that is not bound is one that cannot be reached: the next is asked', async () => {
    const env = { TRUST: '', DECISION_LOG: 'none' } as EdgeEnv;
    const unbound = storesNear(env, 'EU').slice(0, 1);
    const all = stores();
    const ports = fakePorts(all, { stores: [...unbound, ...all] });
    const view = new View(trust, crypto);
    const refreshed = ports.clock.run(refresh(view, ports));
    await expect(refreshed).resolves.toBeUndefined();
    expect(versionOf(view)).toBe(3n);
  });
});
