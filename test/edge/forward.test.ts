// What goes to a gateway and what comes back (E7, P1, P2), on fake surroundings.

import { describe, expect, test } from 'vitest';
import { handle } from '../../edge/steering/handle.ts';
import { encodeBase64url } from '../../shared/base64url.ts';
import { canonical, utf8 } from '../../shared/canonical.ts';
import { RETRY_AFTER_S, SOFT_AGE_MS } from '../../shared/limits.ts';
import { attest, keyNamed } from '../shared/kit.ts';
import { CF, edge, origin, provenanceOf } from './isolate.ts';
import { change, NOW } from './origin.ts';

describe('the call to a gateway', () => {
  test('goes to the chosen region, its path in the one form, its query as it was', async () => {
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

const strange = await attest(origin.held, 'eu1', NOW + 29_000, {}, keyNamed('stranger'));

function packed(list: readonly unknown[]): string {
  return encodeBase64url(utf8(canonical(list)));
}

describe('an edge whose state is old (E3)', () => {
  async function aged(ms: number, header: string | null, served = 200) {
    const made = await edge(true, {
      send: async (sent) => {
        made.ports.sent.push(sent);
        const headers = new Headers(header === null ? {} : { 'portolan-attestations': header });
        return new Response('served', { status: served, headers });
      },
    });
    for (const store of made.stores) store.broken = 'rejects';
    made.ports.clock.nowMs = NOW + ms;
    const answer = await made.ask('/a', { headers: { 'portolan-age-ms': '1' } });
    await made.ports.settle();
    const sent = made.ports.sent.find(({ url }) => !url.includes('/.portolan/'));
    return { ...made, answer, reported: sent?.headers.get('portolan-age-ms') ?? null };
  }

  test('reports its age over the soft age, and at it none, whatever the client says', async () => {
    expect((await aged(SOFT_AGE_MS, null)).reported).toBeNull();
    expect((await aged(SOFT_AGE_MS + 1, null)).reported).toBe(`${SOFT_AGE_MS + 1}`);
  });

  test('is made younger by the words that come back, which the client never sees', async () => {
    const { view, answer } = await aged(30_000, packed(await origin.words(NOW + 29_000)));
    expect(view.ageMs(NOW + 30_000)).toBe(1_000);
    expect(answer.headers.get('portolan-attestations')).toBeNull();
    expect(await answer.text()).toBe('served');
  });

  test('takes none that it did not ask for, and strips them all the same', async () => {
    const { view, answer } = await aged(SOFT_AGE_MS, packed(await origin.words(NOW + 1_000)));
    expect(view.ageMs(NOW + SOFT_AGE_MS)).toBe(SOFT_AGE_MS);
    expect(answer.headers.get('portolan-attestations')).toBeNull();
  });

  test.each([
    ['nonsense', '*', 'malformed'],
    ['a stranger’s words', packed([strange]), 'key-unknown'],
  ])('is not moved by %s, and counts it', async (_, header, code) => {
    const { view, answer } = await aged(30_000, header);
    expect(view.ageMs(NOW + 30_000)).toBe(30_000);
    expect(view.status(NOW).counters[code]).toBeGreaterThan(0);
    expect(answer.status).toBe(200);
  });

  // Attack (freeze): words for a version that is withheld must not make the one before it young.
  test('is not made younger by words for a version that it does not hold', async () => {
    const later = origin.fork();
    await later.commit(change(5));
    const { view } = await aged(30_000, packed(await later.words(NOW + 29_000)));
    expect(view.ageMs(NOW + 30_000)).toBe(30_000);
  });
});
