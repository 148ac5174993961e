// One request on what an isolate holds: what is waited for, and how long (E3), and what is told to
// whom (I15, S8).

import { describe, expect, test } from 'vitest';
import { refresh } from '../../edge/control/refresh.ts';
import type { CachePort } from '../../edge/env.ts';
import { handle } from '../../edge/steering/handle.ts';
import type { Operation } from '../../shared/control/envelope.ts';
import {
  CACHE_HEAD_START_MS,
  COLD_BUDGET_MS,
  REFRESH_MARK_MS,
  RETRY_AFTER_S,
  SOFT_AGE_MS,
} from '../../shared/limits.ts';
import { put, tenantPuts } from '../shared/kit.ts';
import { FakeStore } from './fake-ports.ts';
import { edge, origin, provenanceOf, request } from './isolate.ts';
import { change, NOW } from './origin.ts';

const hangingCache: CachePort = {
  get: () => new Promise(() => {}),
  put: () => new Promise(() => {}),
};

describe('an isolate without state', () => {
  test('loads it on the way and serves', async () => {
    const { ask, ports } = await edge(false);
    expect((await ask()).status).toBe(200);
    expect(ports.clock.nowMs).toBe(NOW);
  });

  test('answers 503 when no store has any (I15)', async () => {
    const { ask, stores, ports } = await edge(false);
    for (const store of stores) store.broken = 'rejects';
    const answer = await ask();
    expect(answer.status).toBe(503);
    expect(ports.sent).toEqual([]);
  });

  test('waits for the cold budget at most when stores hang (E3)', async () => {
    const { ask, stores, ports } = await edge(false);
    for (const store of stores) store.broken = 'hangs';
    expect((await ask()).status).toBe(503);
    expect(ports.clock.nowMs - NOW).toBeLessThanOrEqual(COLD_BUDGET_MS);
  });

  test('does not wait for a cache that hangs (E3)', async () => {
    const { ask, ports } = await edge(false, { cache: hangingCache });
    expect((await ask()).status).toBe(200);
    expect(ports.clock.nowMs - NOW).toBeLessThanOrEqual(6 * CACHE_HEAD_START_MS);
  });

  test('finds time in the budget for the store after one that hangs (E3)', async () => {
    const { ask, stores, ports } = await edge(false);
    for (const store of stores.slice(0, 1)) store.broken = 'hangs';
    expect((await ask()).status).toBe(200);
    expect(ports.clock.nowMs - NOW).toBeLessThanOrEqual(COLD_BUDGET_MS);
  });

  test('refuses a malformed path without loading anything', async () => {
    const { ask, stores } = await edge(false);
    expect((await ask('/a%00')).status).toBe(400);
    expect(stores.flatMap(({ calls }) => calls)).toEqual([]);
  });
});

describe('an isolate with fresh state', () => {
  test('asks neither cache nor store (E1)', async () => {
    const { ask, stores, ports } = await edge(true);
    ports.cache.gets.length = 0;
    for (let i = 0; i < 10; i++) expect((await ask()).status).toBe(200);
    expect(stores.flatMap(({ calls }) => calls)).toEqual([]);
    expect(ports.cache.gets).toEqual([]);
    expect(ports.backgrounds).toEqual([]);
  });

  test('just at the soft age it lets it be, just over it refreshes behind the answer', async () => {
    const { ask, stores, ports } = await edge(true);
    ports.clock.nowMs = NOW + SOFT_AGE_MS;
    await ask();
    expect(ports.backgrounds).toHaveLength(0);
    ports.clock.nowMs = NOW + SOFT_AGE_MS + 1;
    for (const store of stores) store.broken = 'hangs';
    expect((await ask()).status).toBe(200);
    expect(ports.clock.nowMs).toBe(NOW + SOFT_AGE_MS + 1);
    expect(ports.backgrounds).toHaveLength(1);
  });

  test('refreshes once until the mark lapses, however many requests come (E3)', async () => {
    const { ask, stores, ports } = await edge(true);
    for (const store of stores) store.broken = 'hangs';
    const seen: number[] = [];
    for (const ms of [0, 0, 1, REFRESH_MARK_MS - 1, REFRESH_MARK_MS, REFRESH_MARK_MS + 1]) {
      ports.clock.nowMs = NOW + SOFT_AGE_MS + 1 + ms;
      await ask();
      seen.push(ports.backgrounds.length);
    }
    expect(seen).toEqual([1, 1, 1, 1, 2, 2]);
  });

  test('a lookup for which no store has the node ends within the cold budget (E3)', async () => {
    const { ports, stores, view } = await edge(false);
    await ports.clock.run(refresh(view, ports));
    for (const store of stores) store.broken = 'hangs';
    const answer = await ports.clock.run(handle(request(), view, ports));
    expect(answer.status).toBe(503);
    expect(ports.clock.nowMs - NOW).toBeLessThanOrEqual(COLD_BUDGET_MS);
  });
});

describe('hard ages (E3)', () => {
  const cases = [
    ['a write', { method: 'POST' }, '/a', 60_000],
    ['a session', {}, '/session', 60_000],
    ['a read', {}, '/a', 300_000],
  ] as const;

  test.each(cases)('%s is served just at its age, refused just over it', async (...one) => {
    const [, init, path, ageMs] = one;
    const { ask, stores, ports } = await edge(true);
    for (const store of stores) store.broken = 'rejects';
    ports.clock.nowMs = NOW + ageMs;
    expect((await ask(path, init)).status).toBe(200);
    await ports.settle();
    ports.clock.nowMs = NOW + ageMs + 1;
    const refused = await ask(path, init);
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).not.toBeNull();
    await ports.settle();
  });

  test('past it a request waits for newer state, and is served by it', async () => {
    const { ask, stores, ports } = await edge(true);
    ports.clock.nowMs = NOW + 400_000;
    for (const store of stores) store.headText = await origin.freshHead(NOW + 399_000);
    expect((await ask()).status).toBe(200);
  });

  test('past it a request waits for the cold budget at most', async () => {
    const { ask, stores, ports } = await edge(true);
    ports.clock.nowMs = NOW + 400_000;
    for (const store of stores) store.broken = 'hangs';
    expect((await ask()).status).toBe(503);
    expect(ports.clock.nowMs).toBeLessThanOrEqual(NOW + 400_000 + COLD_BUDGET_MS);
  });

  // Attack (freeze): a cache and stores that hand out every head and withhold one piece of the new
  // version, a narrowed scope for example. The version before must not look fresh by the words for
  // the one that cannot be had.
  test('state of which a piece is withheld grows old', async () => {
    const { ask, stores, ports } = await edge(true);
    const narrowed = origin.fork();
    await narrowed.commit(change(5));
    for (let s = 10; s <= 70; s += 10) {
      ports.clock.nowMs = NOW + s * 1_000;
      for (const store of stores) store.headText = await narrowed.freshHead(ports.clock.nowMs);
      await ask();
      await ports.settle();
    }
    expect((await ask('/a', { method: 'POST' })).status).toBe(503);
  });

  // Home and replica have no verdict any more; the home keeps its traffic (S5, H4).
  test('between soft and hard age the home is served on words that have expired', async () => {
    const { ask, stores, ports } = await edge(true);
    for (const store of stores) store.broken = 'rejects';
    ports.clock.nowMs = NOW + 30_000;
    await ask();
    expect(provenanceOf(ports.sent[0])).toMatchObject({ aud: 'us1' });
  });
});

// Every source is lost just when a version has become active: its head came, its nodes did not.
describe('a version whose nodes cannot be had (E3, E6)', () => {
  const globex = { hosts: ['globex.example'], scope: 'atlantic', policy: 'std', priority: 2 };

  /** A warm isolate that knows the heads of these versions, brought 1 s apart, and no node. */
  async function bereft(count = 1, more: readonly Operation[] = []) {
    const sent: Request[] = [];
    const send = async (one: Request) => {
      if (new URL(one.url).pathname.startsWith('/.portolan/')) throw new Error('down');
      sent.push(one);
      return new Response('served');
    };
    const isolate = await edge(true, { logDecisions: 'all', send });
    const { ports, stores, view } = isolate;
    const ahead = origin.fork();
    for (let n = 1; n <= count; n++) {
      const changed = put('tenants/globex/tenant', { ...globex, priority: n + 1 });
      await ahead.commit([changed, ...more]);
      ports.clock.nowMs = NOW + n * 1_000;
      for (const store of stores) store.headText = await ahead.freshHead(ports.clock.nowMs);
      await ports.clock.run(refresh(view, ports));
      await ports.settle();
      ports.cache.held.clear();
    }
    expect(view.standing?.link.version).toBe(ahead.version);
    ports.lines.length = 0;
    sent.length = 0;
    return { ...isolate, ahead, sent };
  }

  test.each(['rejects', 'hangs'] as const)(
    'is passed over for the one before, which the decision names: stores that %s',
    async (broken) => {
      const { ask, ports, sent, stores } = await bereft();
      for (const store of stores) store.broken = broken;
      const beganMs = ports.clock.nowMs;
      expect((await ask()).status).toBe(200);
      expect(ports.clock.nowMs - beganMs).toBeLessThanOrEqual(COLD_BUDGET_MS);
      expect(provenanceOf(sent[0])).toMatchObject({ version: origin.version });
      const seen = { ageMs: ports.clock.nowMs - NOW, behind: true };
      expect(ports.lines).toMatchObject([{ basis: { version: `${origin.version}` }, seen }]);
    },
  );

  test('and for the last one of which a tenant was found, however many came since', async () => {
    const { ask, sent } = await bereft(3);
    expect((await ask()).status).toBe(200);
    expect(provenanceOf(sent[0])).toMatchObject({ version: origin.version });
  });

  test('is decided on as soon as they can', async () => {
    const { ask, ports, sent, view, ahead } = await bereft();
    const healed = new FakeStore('weur', ahead, await ahead.freshHead(NOW + 1_000));
    const answer = await ports.clock.run(handle(request(), view, { ...ports, stores: [healed] }));
    expect([answer.status, (await ask()).status]).toEqual([200, 200]);
    expect(sent.map((one) => provenanceOf(one))).toMatchObject([
      { version: ahead.version },
      { version: ahead.version },
    ]);
  });

  // It may have been created in the version that cannot be had: that is doubt, and no 404.
  test('tells nobody that a host is unknown', async () => {
    const fresh = { hosts: ['fresh.example'], scope: 'eu', home: 'eu1' } as const;
    const { ports, view, stores } = await bereft(1, tenantPuts('fresh', fresh));
    for (const store of stores) store.broken = 'rejects';
    const { cf } = request();
    const early = new Request('https://fresh.example/a', { cf } as RequestInit);
    const answer = await ports.clock.run(handle(early, view, ports));
    expect([answer.status, ports.lines.at(-1)]).toMatchObject([503, { code: 'no-state' }]);
  });

  // Revocation: the version that cannot be had may have suspended the tenant.
  test('lets the one before grow old, whatever words come for the new one', async () => {
    const { ask, ports, stores, ahead } = await bereft();
    for (const [ageMs, status] of [
      [30_000, 200],
      [60_000, 200],
      [60_001, 503],
    ] as const) {
      ports.clock.nowMs = NOW + ageMs;
      for (const store of stores) store.headText = await ahead.freshHead(NOW + ageMs);
      expect([ageMs, (await ask()).status]).toEqual([ageMs, status]);
      await ports.settle();
    }
  });
});

test('clients that are refused together do not come back together (S8)', async () => {
  const after = async (random: number) => {
    const { ask } = await edge(false, {
      stores: [],
      random: (bytes) => new Uint8Array(bytes).fill(random),
    });
    return (await ask()).headers.get('retry-after');
  };
  const { base, jitter } = RETRY_AFTER_S;
  expect([await after(0), await after(255)]).toEqual([`${base}`, `${base + jitter}`]);
});
