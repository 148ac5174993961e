// One request on what an isolate holds, on fake surroundings: what is waited for, and how long (E3),
// what is told to whom (I15, S8), and what goes to a gateway (P2).

import { describe, expect, test } from 'vitest';
import { refresh } from '../../edge/control/refresh.ts';
import { View } from '../../edge/control/view.ts';
import type { EdgePorts } from '../../edge/env.ts';
import { handle } from '../../edge/steering/handle.ts';
import {
  COLD_BUDGET_MS,
  REFRESH_MARK_MS,
  RETRY_AFTER_S,
  SOFT_AGE_MS,
} from '../../shared/limits.ts';
import { parseProvenance } from '../../shared/provenance/profile.ts';
import { crypto, testTrust } from '../shared/kit.ts';
import { type FakePorts, FakeStore, fakePorts } from './fake-ports.ts';
import { change, NOW, Origin } from './origin.ts';

const trust = await testTrust();
const origin = await Origin.start(trust, change(1));
const fresh = await origin.freshHead(NOW);
const CF = { country: 'DE', colo: 'FRA', latitude: '50.1', longitude: '8.7', continent: 'EU' };

function ask(path = '/a', init: RequestInit<IncomingRequestCfProperties> = {}): Request {
  const cf = CF as unknown as IncomingRequestCfProperties;
  return new Request(`https://globex.example${path}`, { cf, ...init });
}

interface Edge {
  readonly view: View;
  readonly ports: FakePorts;
  readonly stores: readonly FakeStore[];
  readonly ask: (
    path?: string,
    init?: RequestInit<IncomingRequestCfProperties>,
  ) => Promise<Response>;
}

/** An isolate in front of two stores; `warm`: it has served globex.example before. */
async function edge(warm: boolean, changes: Partial<EdgePorts> = {}): Promise<Edge> {
  const stores = ['weur', 'enam'].map((id) => new FakeStore(id, origin, fresh));
  const ports = fakePorts(stores, changes);
  const view = new View(trust, crypto);
  const made = {
    view,
    ports,
    stores,
    ask: (...request: Parameters<typeof ask>) =>
      ports.clock.run(handle(ask(...request), view, ports)),
  };
  if (warm) {
    await ports.clock.run(refresh(view, ports));
    await made.ask();
    await ports.settle();
    ports.sent.length = 0;
    forget(stores);
  }
  return made;
}

function forget(stores: readonly FakeStore[]): void {
  for (const { calls } of stores) calls.length = 0;
}

function provenanceOf(request: Request | undefined) {
  return parseProvenance(request?.headers.get('portolan-provenance') ?? '');
}

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

  test('waits for the cold budget and no longer (E3)', async () => {
    const { ask, stores, ports } = await edge(false);
    for (const store of stores) store.broken = 'hangs';
    expect((await ask()).status).toBe(503);
    expect(ports.clock.nowMs - NOW).toBe(COLD_BUDGET_MS);
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
    const answer = await ports.clock.run(handle(ask(), view, ports));
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

  test('past it a request waits for the cold budget and no longer', async () => {
    const { ask, stores, ports } = await edge(true);
    ports.clock.nowMs = NOW + 400_000;
    for (const store of stores) store.broken = 'hangs';
    expect((await ask()).status).toBe(503);
    expect(ports.clock.nowMs).toBe(NOW + 400_000 + COLD_BUDGET_MS);
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

describe('the call to a gateway', () => {
  test('goes to the chosen region, with the path in its one form and the query as it was', async () => {
    const { ask, ports } = await edge(true);
    await ask('/%7Euser/%c3%a9//b?q=%7e&&a=b+c%20d&%zz');
    expect(ports.sent.map(({ url }) => url)).toEqual([
      'https://gw.eu1.example/~user/%C3%A9//b?q=%7e&&a=b+c%20d&%zz',
    ]);
  });

  test('keeps a query that is empty', async () => {
    const { ask, ports } = await edge(true);
    await ask('/a?');
    expect(ports.sent.map(({ url }) => url)).toEqual(['https://gw.eu1.example/a?']);
  });

  test('says whose request it is and on what it was decided (P1)', async () => {
    const { ask, ports } = await edge(true);
    await ask('/a', { method: 'PUT', body: 'x' });
    expect(provenanceOf(ports.sent[0])).toEqual({
      host: 'globex.example',
      aud: 'us1',
      tenant: 'globex',
      scope: 'atlantic',
      op: 'write',
      generation: 1n,
      version: 2n,
      commitIndex: 2n,
      lamport: 2n,
      epoch: 2n,
      decision: '07'.repeat(16),
      hop: 1,
      body: 'unsigned',
    });
  });

  test("carries none of the platform's headers that a client sent (P2)", async () => {
    const { ask, ports } = await edge(true);
    const headers = {
      'portolan-provenance': 'host="acme.example"',
      'Portolan-Decision': 'mine',
      'PORTOLAN-X': 'mine',
      'x-portolan': 'kept',
      host: 'acme.example',
    };
    await ask('/a', { headers });
    const sent = [...(ports.sent[0]?.headers ?? [])].filter(
      ([name]) => name !== 'cf-connecting-ip',
    );
    expect(sent.map(([name]) => name)).toEqual(['portolan-provenance', 'x-portolan']);
    expect(provenanceOf(ports.sent[0])).toMatchObject({ host: 'globex.example' });
  });

  test('follows no redirect (E7)', async () => {
    const { ask, ports } = await edge(true);
    await ask();
    expect(ports.sent[0]?.redirect).toBe('manual');
  });

  test.each(['POST', 'PUT', 'PATCH', 'DELETE'])('%s streams its body', async (method) => {
    const { ask, ports } = await edge(true);
    const { readable, writable } = new TransformStream();
    await ask('/a', { method, body: readable });
    const writer = writable.getWriter();
    const written = writer.write(new TextEncoder().encode('late')).then(() => writer.close());
    expect(await ports.sent[0]?.text()).toBe('late');
    await written;
  });

  // As workerd hands over a GET that came with `Content-Length: 0` or with a body: it has one.
  test('is made for a GET that has a body, too', async () => {
    const { view, ports } = await edge(true);
    const { body } = new Response('');
    const get = { url: 'https://globex.example/a', method: 'GET', headers: new Headers(), cf: CF };
    const answer = handle({ ...get, body } as unknown as Request, view, ports);
    expect((await ports.clock.run(answer)).status).toBe(200);
    expect(ports.sent.map(({ method }) => method)).toEqual(['GET']);
  });
});

describe('an answer of a gateway', () => {
  const served = (init: ResponseInit, body: BodyInit | null = 'x') => ({
    send: async () => new Response(body, init),
  });

  test('comes back as it is, with the decision id', async () => {
    const headers = new Headers({ 'content-type': 'text/plain', etag: '"1"' });
    headers.append('set-cookie', 'a=1');
    headers.append('set-cookie', 'b=2; Expires=Thu, 01 Jan 2026 00:00:00 GMT');
    const { ask } = await edge(true, served({ status: 418, statusText: 'Teapot', headers }));
    const answer = await ask();
    expect([answer.status, answer.statusText, await answer.text()]).toEqual([418, 'Teapot', 'x']);
    expect(answer.headers.getSetCookie()).toEqual([...headers.getSetCookie()]);
    expect(answer.headers.get('etag')).toBe('"1"');
    expect(answer.headers.get('portolan-decision')).toBe('07'.repeat(16));
  });

  test("loses the line for the zone's cache (E7)", async () => {
    const headers = { 'Cloudflare-CDN-Cache-Control': 'no-store', 'cache-control': 'max-age=5' };
    const { ask } = await edge(true, served({ headers }));
    const answer = await ask();
    expect(answer.headers.get('cloudflare-cdn-cache-control')).toBeNull();
    expect(answer.headers.get('cache-control')).toBe('max-age=5');
  });

  test.each([204, 304])('of %i has no body', async (status) => {
    const { ask } = await edge(true, served({ status }, null));
    const answer = await ask();
    expect([answer.status, answer.body]).toEqual([status, null]);
  });

  test('that switches protocols hands its socket on', async () => {
    const pair = new WebSocketPair();
    const { ask } = await edge(true, served({ status: 101, webSocket: pair[0] }, null));
    const answer = await ask('/a', { headers: { upgrade: 'websocket' } });
    expect([answer.status, answer.webSocket]).toEqual([101, pair[0]]);
  });

  test('that never comes is a 503 with Retry-After, and tells nothing', async () => {
    const send = () => Promise.reject(new Error('connect gw.eu1.example: refused'));
    const { ask, ports, view } = await edge(true, { send });
    const answer = await ask();
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe(String(RETRY_AFTER_S.base));
    expect(await answer.text()).not.toMatch(/eu1|gateway|connect/);
    expect(view.status(NOW).counters).toMatchObject({ 'gateway-unreachable': 2 });
    expect(ports.lines.at(-1)).toMatchObject({ kind: 'gateway', region: 'eu1' });
  });
});

describe('classes of operation at the edge (S3)', () => {
  test.each([
    ['GET', '/a', {}, 'read', 'eu1'],
    ['HEAD', '/a', {}, 'read', 'eu1'],
    ['OPTIONS', '/a', {}, 'read', 'eu1'],
    ['POST', '/a', {}, 'write', 'us1'],
    ['DELETE', '/a', {}, 'write', 'us1'],
    ['PROPFIND', '/a', {}, 'write', 'us1'],
    ['GET', '/session', {}, 'session', 'us1'],
    ['GET', '/session/1', {}, 'session', 'us1'],
    ['GET', '/%73ession/1', {}, 'session', 'us1'],
    ['GET', '/sessions', {}, 'read', 'eu1'],
    ['GET', '/a', { upgrade: 'websocket' }, 'session', 'us1'],
  ])('%s %s %o is a %s, for %s', async (method, path, headers, op, aud) => {
    const { ask, ports } = await edge(true);
    await ask(path, { method, headers: headers as Record<string, string> });
    expect(provenanceOf(ports.sent[0])).toMatchObject({ op, aud });
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
