// The way in for state (E1), on fake stores: who gets as far as a store, and what comes back.

import { describe, expect, test } from 'vitest';
import { ingest } from '../../edge/control/ingest.ts';
import { View } from '../../edge/control/view.ts';
import { utf8 } from '../../shared/canonical.ts';
import { ingestAnswerSchema } from '../../shared/control/answer.ts';
import { sealDelta } from '../../shared/control/delta.ts';
import { DELTA_BYTES_MAX, PUSH_TIMEOUT_MS, STORE_INGEST_TIMEOUT_MS } from '../../shared/limits.ts';
import { crypto, keyNamed, testTrust } from '../shared/kit.ts';
import { FakeStore, fakePorts } from './fake-ports.ts';
import { change, NOW, Origin, sealed } from './origin.ts';

const trust = await testTrust();
const origin = await Origin.start(trust);
const NOTHING = { v: 1, trust: [], commits: [], attestations: [] } as const;
const FROM = { cluster: 'demo', site: 'eu1', agent: 'eu1-1' };

async function edge(headText = '') {
  const stores = ['weur', 'enam', 'apac'].map((id) => new FakeStore(id, origin, headText));
  const ports = fakePorts(stores);
  const view = new View(trust, crypto);
  const post = (body: BodyInit | null) => {
    const request = new Request('https://any.example/.portolan/ingest', { method: 'POST', body });
    return ingest(request, view, ports);
  };
  return { stores, ports, view, post };
}

function callsOf(stores: readonly FakeStore[]): readonly string[] {
  return stores.flatMap(({ calls }) => calls);
}

const good = await sealed({ commits: origin.commits, attestations: await origin.words(NOW) });

/** A delta of nothing, from whom it says and by whose key. */
function from(changes: Partial<typeof FROM>, key: string, rest: object = {}): Promise<string> {
  return sealDelta({ ...NOTHING, ...rest }, { ...FROM, ...changes }, keyNamed(key), crypto);
}

const OWN = 'agent eu1-1';

const STRANGERS: readonly (readonly [string, string, number, BodyInit | null])[] = [
  ['nothing', 'malformed', 403, null],
  ['no text', 'malformed', 403, ''],
  ['no JSON', 'malformed', 403, 'delta'],
  ['half a delta', 'malformed', 403, good.slice(0, -1)],
  ['two deltas', 'malformed', 403, good + good],
  ['JSON of great depth', 'malformed', 403, `{"a":${'['.repeat(50)}${']'.repeat(50)}}`],
  ['bytes that are not UTF-8', 'malformed', 403, new Uint8Array([0xff, 0xfe, 0x7b])],
  ['no sender', 'malformed', 403, JSON.stringify(NOTHING)],
  ['another format', 'version-unsupported', 403, good.replace('"v":1', '"v":3')],
  ['a sender whom trust does not name', 'key-unknown', 403, await from({}, 'stranger')],
  ['an operator', 'key-unknown', 403, await from({}, 'alice')],
  ['an edge', 'key-unknown', 403, await from({}, 'edge')],
  ["another site's name", 'sender', 403, await from({ site: 'us1' }, OWN)],
  ["another agent's name", 'sender', 403, await from({ agent: 'us1-1' }, OWN)],
  ['another cluster', 'cluster', 403, await from({ cluster: 'other' }, OWN)],
  ['a body changed after signing', 'sender', 403, good.replace('"trust":[]', '"trust":[1]')],
  ['a member added after signing', 'sender', 403, good.replace('{"v":1', '{"more":1,"v":1')],
  ['a body one byte over the bound', 'too-large', 413, ' '.repeat(DELTA_BYTES_MAX + 1)],
];

describe('a stranger is refused before any store is touched (E1)', () => {
  test.each(STRANGERS)('%s: %s, %i', async (_, code, status, body) => {
    const { stores, post } = await edge();
    const answer = await post(body);
    expect([answer.status, await answer.text()]).toEqual([status, `{"code":"${code}"}`]);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(callsOf(stores)).toEqual([]);
  });

  test('and counted under the code', async () => {
    const { view, post } = await edge();
    await post('delta');
    await post('delta');
    await post(' '.repeat(DELTA_BYTES_MAX + 1));
    expect(view.status(NOW).counters).toEqual({ malformed: 2, 'too-large': 1 });
  });
});

describe('the bound is one of bytes (C9)', () => {
  /** A good delta of exactly `bytes`, by a member that this version ignores. */
  async function ofBytes(bytes: number, letter: string): Promise<string> {
    const room = (pad: string) => from({}, OWN, { pad });
    const bare = utf8(await room('')).length;
    const each = utf8(letter).length;
    const rest = bytes - bare;
    return room(letter.repeat(Math.floor(rest / each)) + 'x'.repeat(rest % each));
  }

  test.each(['x', 'é'])('a body of DELTA_BYTES_MAX made of %s is taken', async (letter) => {
    const { stores, post } = await edge();
    const body = await ofBytes(DELTA_BYTES_MAX, letter);
    expect(utf8(body).length).toBe(DELTA_BYTES_MAX);
    expect((await post(body)).status).toBe(200);
    expect(stores.map((store) => store.count('ingest'))).toEqual([1, 1, 1]);
  });

  test('one more is refused, signed or not', async () => {
    const { stores, post } = await edge();
    expect((await post(await ofBytes(DELTA_BYTES_MAX + 1, 'é'))).status).toBe(413);
    expect(callsOf(stores)).toEqual([]);
  });

  test('reading ends there, however much more would come', async () => {
    const { post } = await edge();
    let pulled = 0;
    const endless = new ReadableStream({
      pull(controller) {
        pulled += 1;
        controller.enqueue(new Uint8Array(1024 * 1024).fill(32));
      },
    });
    expect((await post(endless)).status).toBe(413);
    expect(pulled).toBeLessThanOrEqual(DELTA_BYTES_MAX / (1024 * 1024) + 2);
  });
});

describe('the fan-out (E1)', () => {
  test('gives every store the very bytes, once', async () => {
    const { stores, ports, view } = await edge();
    const seen: string[] = [];
    const noting = stores.map((store) => ({
      ...store,
      id: store.id,
      head: () => store.head(),
      piece: (digest: string) => store.piece(digest),
      ingest: (delta: string) => {
        seen.push(delta);
        return store.ingest();
      },
    }));
    const body = ` ${good}\n`;
    const request = new Request('https://any.example/', { method: 'POST', body });
    await ingest(request, view, { ...ports, stores: noting });
    expect(seen).toEqual([body, body, body]);
  });

  test('ends at the timeout of a store that never answers; the others are heard', async () => {
    const { stores, ports, view } = await edge(origin.head(await origin.words(NOW)));
    for (const store of stores.slice(0, 1)) store.broken = 'hangs';
    const body = [utf8(good)];
    const answered = await ports.clock.run(ingest({ body } as unknown as Request, view, ports));
    const answer = ingestAnswerSchema.parse(await answered.json());
    expect(answer.stores.map(({ id, code }) => [id, code])).toEqual([
      ['weur', 'store-timeout'],
      ['enam', undefined],
      ['apac', undefined],
    ]);
    expect(ports.clock.nowMs - NOW).toBeGreaterThanOrEqual(STORE_INGEST_TIMEOUT_MS);
  });

  // An agent that gives up first hears of no store at all, and takes the whole edge for lost.
  test('with one store that hangs is over before the sender gives up', async () => {
    const { stores, ports, view } = await edge(origin.head(await origin.words(NOW)));
    for (const store of stores.slice(0, 1)) store.broken = 'hangs';
    const body = [utf8(good)];
    await ports.clock.run(ingest({ body } as unknown as Request, view, ports));
    expect(ports.clock.nowMs - NOW).toBeLessThan(PUSH_TIMEOUT_MS);
  });

  test('a store that cannot be reached is one that failed; the others are heard', async () => {
    const { stores, post } = await edge();
    for (const store of stores.slice(1, 2)) store.broken = 'rejects';
    const answer = ingestAnswerSchema.parse(await (await post(good)).json());
    expect(answer.stores.map(({ code }) => code)).toEqual([undefined, 'store-failed', undefined]);
  });

  test.each([
    ['nothing', ''],
    ['no JSON', 'yes'],
    ['null', 'null'],
    ['an array', '[]'],
    ['no floor', '{"id":"weur","refused":[]}'],
    ['a floor of another kind', '{"id":"weur","floor":3,"refused":[]}'],
    ['a floor below zero', '{"id":"weur","floor":{"generation":"1","version":"-1"},"refused":[]}'],
    ['JSON of great depth', '['.repeat(100_000)],
  ])('a store that answers %s is one that failed', async (_, text) => {
    const { stores, post } = await edge();
    for (const store of stores.slice(0, 1)) store.answer = text;
    const answer = ingestAnswerSchema.parse(await (await post(good)).json());
    const failed = { id: 'weur', floor: null, refused: [], code: 'store-failed' };
    expect(answer.stores[0]).toEqual(failed);
    expect(answer.stores.slice(1).map(({ code }) => code)).toEqual([undefined, undefined]);
  });

  test('a store may answer more than this version knows (E1)', async () => {
    const { stores, post } = await edge();
    for (const store of stores.slice(0, 1)) {
      store.answer = '{"floor":null,"id":"weur","receipt":{"v":2},"refused":[]}';
    }
    const answer = ingestAnswerSchema.parse(await (await post(good)).json());
    expect(answer.stores[0]).toEqual({ id: 'weur', floor: null, refused: [] });
  });
});

// It brought news, which no cached head can have; and the location's other isolates read the cache.
test('what the location has cached is passed over, and replaced (E1)', async () => {
  const later = origin.fork();
  await later.commit(change(1));
  const { stores, ports, view, post } = await edge(await later.freshHead(NOW));
  ports.cache.held.set('head', await origin.freshHead(NOW - 1_000));
  for (const [digest, text] of later.pieces) ports.cache.held.set(`piece/${digest}`, text);
  await post(good);
  await ports.settle();
  expect(view.standing?.link.version).toBe(2n);
  expect(ports.cache.held.get('head')).toBe(stores[0]?.headText);
});

test('the answer says where this isolate stands after it', async () => {
  const { ports, post } = await edge(origin.head(await origin.words(NOW)));
  const answer = await post(good);
  await ports.settle();
  expect(answer.headers.get('content-type')).toBe('application/json');
  expect(ingestAnswerSchema.parse(await answer.json()).edge).toEqual({
    trust: 1n,
    version: 1n,
    ageMs: 0,
    verdicts: { eu1: 'up', us1: 'up' },
    counters: {},
  });
});
