// Cold, or past the hard age: who is asked when, who wins, and what it costs at most (E3).

import { describe, expect, test } from 'vitest';
import { ReadSlots } from '../../edge/control/read-slots.ts';
import { refresh } from '../../edge/control/refresh.ts';
import { configuredGateways } from '../../edge/control/sources.ts';
import { View } from '../../edge/control/view.ts';
import type { EdgePorts } from '../../edge/env.ts';
import { handle } from '../../edge/steering/handle.ts';
import { utf8 } from '../../shared/canonical.ts';
import {
  CACHE_HEAD_START_MS,
  COLD_BUDGET_MS,
  DELTA_BYTES_MAX,
  LAGGING_AGE_MS,
  RACE_STAGGER_MS,
  RACE_TICK_MS,
  READS_PER_SOURCE_MAX,
  SITES_MAX,
  SOFT_AGE_MS,
  STATE_GATEWAYS_MAX,
  STORE_READ_TIMEOUT_MS,
} from '../../shared/limits.ts';
import { crypto, testTrust } from '../shared/kit.ts';
import { type FakePorts, FakeStore, fakePorts } from './fake-ports.ts';
import { edge, origin, request } from './isolate.ts';
import { change, NOW, Origin } from './origin.ts';
import { poisons } from './poison.ts';

const trust = await testTrust();
const fresh = await origin.freshHead(NOW);
const lagging = await origin.freshHead(NOW - LAGGING_AGE_MS - 1);
const longer = await Origin.start(trust, change(1), change(2));
const other = await Origin.start(trust, change(7), change(2));
const poisoned = await poisons(longer, other, await longer.freshHead(NOW));
const GATEWAYS = ['https://gw.eu1.example', 'https://gw.us1.example'];

/** A gateway's answer whose body takes no time: a real one's is read by the runtime's own clock. */
function answer(text: string, status = 200): Response {
  const body = Object.assign([utf8(text)], { cancel: async () => {} });
  return { status, body } as unknown as Response;
}

/** Gateways that hold what `head` says, and serve requests. */
function gateways(head = fresh, asked: string[] = []): Partial<EdgePorts> {
  return {
    gateways: () => GATEWAYS,
    random: (bytes) => new Uint8Array(bytes),
    send: async ({ url }) => {
      const { pathname } = new URL(url);
      asked.push(url);
      if (pathname === '/.portolan/head') return answer(head);
      if (!pathname.startsWith('/.portolan/piece/')) return new Response('served');
      const text = origin.pieces.get(pathname.slice('/.portolan/piece/'.length));
      return text === undefined ? answer('', 404) : answer(text);
    },
  };
}

function isolate(heads: readonly string[], changes: Partial<EdgePorts> = {}) {
  const ids = ['weur', 'enam', 'apac'];
  const stores = heads.map((head, i) => new FakeStore(ids[i] ?? '', origin, head));
  const ports = fakePorts(stores, changes);
  const view = new View(trust, crypto);
  return { stores: stores as [FakeStore, FakeStore, FakeStore], ports, view };
}

function spent({ clock }: FakePorts): number {
  return clock.nowMs - NOW;
}

describe('a cold isolate', () => {
  test('whose first store hangs has it from the second a stagger later', async () => {
    const { stores, ports, view } = isolate([fresh, fresh, fresh]);
    stores[0].broken = 'hangs';
    await ports.clock.run(refresh(view, ports));
    expect(view.standing?.link.version).toBe(2n);
    expect(spent(ports)).toBeLessThanOrEqual(CACHE_HEAD_START_MS + RACE_STAGGER_MS);
    expect(stores[2].calls).toEqual([]);
  });

  test('pays for a store that hangs once, however many pieces it needs', async () => {
    const { ask, stores, ports } = await edge(false);
    for (const store of stores.slice(0, 1)) store.broken = 'hangs';
    expect((await ask()).status).toBe(200);
    expect(spent(ports)).toBeLessThanOrEqual(CACHE_HEAD_START_MS + RACE_STAGGER_MS);
  });

  test('whose cache hangs asks the first store a moment later', async () => {
    const hanging = { get: () => new Promise<null>(() => {}), put: () => Promise.resolve() };
    const { stores, ports, view } = isolate([fresh, fresh, fresh], { cache: hanging });
    await ports.clock.run(refresh(view, ports));
    expect(view.standing?.link.version).toBe(2n);
    expect(spent(ports)).toBe(2 * CACHE_HEAD_START_MS);
    expect(stores[1].calls).toEqual([]);
  });

  test.each(poisoned)('is not stopped by a store that lies: %s, %s', async (_, code, head) => {
    const { stores, ports, view } = isolate([head, fresh, fresh]);
    stores[1].broken = 'hangs';
    await ports.clock.run(refresh(view, ports));
    expect(view.standing?.link.version).toBe(2n);
    expect(view.status(NOW).counters[code]).toBe(1);
    expect(spent(ports)).toBeLessThan(STORE_READ_TIMEOUT_MS);
  });

  test('is not stopped by one that lags, but stands on it when no other knows more', async () => {
    const { stores, ports, view } = isolate([lagging, fresh, fresh]);
    stores[1].broken = 'hangs';
    await ports.clock.run(refresh(view, ports));
    expect(view.ageMs(NOW)).toBe(0);
    const all = isolate([lagging, lagging, lagging], gateways(lagging));
    await all.ports.clock.run(refresh(all.view, all.ports));
    expect([all.view.standing?.link.version, all.view.ageMs(NOW)]).toEqual([
      2n,
      LAGGING_AGE_MS + 1,
    ]);
    expect(spent(all.ports)).toBe(0);
  });

  test('answers 503 within the budget when everything is dead, hanging or not', async () => {
    for (const broken of ['rejects', 'hangs'] as const) {
      const send = () => (broken === 'hangs' ? new Promise<never>(() => {}) : Promise.reject());
      const { ask, stores, ports } = await edge(false, { ...gateways(), send });
      for (const store of stores) store.broken = broken;
      expect((await ask()).status).toBe(503);
      expect(spent(ports)).toBeLessThanOrEqual(COLD_BUDGET_MS);
    }
  });
});

describe('a gateway is the last source', () => {
  test.each(['rejects', 'hangs'] as const)(
    'where every store %s, a cold isolate is served',
    async (broken) => {
      const asked: string[] = [];
      const { ask, stores, ports } = await edge(false, gateways(fresh, asked));
      for (const store of stores) store.broken = broken;
      expect((await ask()).status).toBe(200);
      expect(asked[0]).toBe('https://gw.eu1.example/.portolan/head');
      expect(spent(ports)).toBeLessThanOrEqual(COLD_BUDGET_MS);
    },
  );

  test('and is not asked where a store answers', async () => {
    const asked: string[] = [];
    const { ask } = await edge(false, gateways(fresh, asked));
    expect((await ask()).status).toBe(200);
    expect(asked).toEqual(['https://gw.eu1.example/a']);
  });

  test('is known from the state that is held, not from the variable', async () => {
    const asked: string[] = [];
    const none = { ...gateways(fresh, asked), gateways: () => ['https://gw.other.example'] };
    const { ports, stores, view } = isolate([fresh, fresh, fresh], none);
    await ports.clock.run(refresh(view, ports));
    for (const store of stores) store.broken = 'rejects';
    ports.clock.nowMs = NOW + SOFT_AGE_MS + 1;
    await ports.clock.run(refresh(view, ports));
    expect(asked.map((url) => new URL(url).origin)).toEqual(GATEWAYS.slice(0, 1));
  });

  test('asks no more than STATE_GATEWAYS_MAX of them, and follows none', async () => {
    const asked: Request[] = [];
    const many = Array.from({ length: STATE_GATEWAYS_MAX + 1 }, (_, i) => `https://gw${i}.example`);
    const send: EdgePorts['send'] = async (sent) => {
      asked.push(sent);
      return answer('', 302);
    };
    const { ports, view } = isolate([], { gateways: () => many, send });
    await ports.clock.run(refresh(view, ports));
    expect(view.standing).toBeNull();
    expect(asked).toHaveLength(STATE_GATEWAYS_MAX);
    expect(asked.map(({ redirect }) => redirect)).toEqual(['manual', 'manual']);
    expect(view.status(NOW).counters).toEqual({ 'gateway-unreachable': STATE_GATEWAYS_MAX });
  });

  test.each<readonly [string, () => Response]>([
    ['nonsense', () => answer('nonsense')],
    ['an error', () => answer(fresh, 500)],
    ['more than a head may have', () => answer(' '.repeat(DELTA_BYTES_MAX + 1))],
    ['that it has none', () => answer('', 404)],
  ])('one that answers %s is not the last', async (_, first) => {
    const good = gateways();
    const send: EdgePorts['send'] = async (sent) =>
      sent.url.startsWith(GATEWAYS[0] ?? '') ? first() : (good.send?.(sent) ?? first());
    const { ports, view } = isolate([], { ...good, send });
    await ports.clock.run(refresh(view, ports));
    expect(view.standing?.link.version).toBe(2n);
  });

  test('one that is overtaken is let go', async () => {
    const signals: AbortSignal[] = [];
    const { stores, ports, view } = isolate([fresh, fresh, fresh], {
      ...gateways(),
      send: ({ signal }) => {
        signals.push(signal);
        return new Promise(() => {});
      },
    });
    for (const store of stores.slice(0, 2)) store.broken = 'hangs';
    await ports.clock.run(refresh(view, ports));
    expect(view.standing?.link.version).toBe(2n);
    expect(signals.map(({ aborted }) => aborted)).toEqual(signals.map(() => true));
    expect(signals.length).toBeGreaterThan(0);
  });
});

test('an isolate whose first store hangs does not grow old behind its requests', async () => {
  const { ask, stores, ports, view } = await edge(true);
  for (const store of stores.slice(0, 1)) store.broken = 'hangs';
  for (let s = 3; s <= 60; s += 3) {
    ports.clock.nowMs = NOW + s * 1_000;
    for (const store of stores) store.headText = await origin.freshHead(ports.clock.nowMs);
    expect((await ask()).status).toBe(200);
    await ports.settle();
    expect(view.ageMs(ports.clock.nowMs)).toBeLessThan(SOFT_AGE_MS);
  }
});

describe('a herd of cold requests (E3)', () => {
  async function herd(broken: FakeStore['broken']) {
    const { ports, stores, view } = isolate([fresh, fresh, fresh]);
    for (const store of stores.slice(0, 1)) store.broken = broken;
    const asks = Array.from({ length: READS_PER_SOURCE_MAX * 4 }, () =>
      handle(request(), view, ports),
    );
    const answers = await ports.clock.run(Promise.all(asks));
    return { statuses: new Set(answers.map(({ status }) => status)), stores, ports };
  }

  test('is served by the reads of the first of them', async () => {
    const { statuses, stores } = await herd('no');
    expect(statuses).toEqual(new Set([200]));
    expect(stores[0].count('head')).toBe(READS_PER_SOURCE_MAX);
  });

  test('waits together for a store that hangs, and is served by the next', async () => {
    const { statuses, stores, ports } = await herd('hangs');
    expect(statuses).toEqual(new Set([200]));
    for (const store of stores) {
      expect(store.count('head')).toBeLessThanOrEqual(READS_PER_SOURCE_MAX);
    }
    expect(spent(ports)).toBeLessThan(3 * RACE_STAGGER_MS + 4 * RACE_TICK_MS);
  });
});

describe('slots for reads', () => {
  test('READS_PER_SOURCE_MAX a source, and not one more', () => {
    const slots = new ReadSlots();
    const taken = Array.from({ length: READS_PER_SOURCE_MAX }, () => slots.take('weur', NOW));
    expect(taken).not.toContain(null);
    expect(slots.take('weur', NOW)).toBeNull();
    expect(slots.take('enam', NOW)).not.toBeNull();
    taken[0]?.();
    taken[0]?.();
    expect(slots.take('weur', NOW)).not.toBeNull();
    expect(slots.take('weur', NOW)).toBeNull();
  });

  // The runtime cancels what a request left behind, and tells nobody.
  test('that nobody gave back lapse', () => {
    const slots = new ReadSlots();
    for (let i = 0; i < READS_PER_SOURCE_MAX; i++) slots.take('weur', NOW);
    expect(slots.take('weur', NOW + STORE_READ_TIMEOUT_MS - 1)).toBeNull();
    expect(slots.take('weur', NOW + STORE_READ_TIMEOUT_MS)).not.toBeNull();
  });
});

describe('the variable GATEWAYS', () => {
  const many = (n: number) => Array.from({ length: n }, (_, i) => `https://gw${i}.example`);

  test.each([
    ['nothing', undefined, []],
    ['a list as text', JSON.stringify(GATEWAYS), GATEWAYS],
    ['a list', GATEWAYS, GATEWAYS],
    ['as many as sites', many(SITES_MAX), many(SITES_MAX)],
    ['one more', many(SITES_MAX + 1), null],
    ['an origin alone', GATEWAYS[0], null],
    ['plain HTTP', '["http://gw.eu1.example"]', null],
    ['a path', '["https://gw.eu1.example/a"]', null],
    ['garbage', '[', null],
  ])('%s', (_, variable, origins) => {
    expect(configuredGateways(variable)).toEqual(origins);
  });
});
