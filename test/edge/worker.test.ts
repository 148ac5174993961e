// The edge Worker with its real stores, from a request to what arrives at a gateway and back. The
// gateways here answer with what they were asked (vitest.config.ts).

import { createExecutionContext, evictDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { sendToGateway } from '../../edge/steering/forward.ts';
import { ingestAnswerSchema } from '../../shared/control/answer.ts';
import { GATEWAY_TIMEOUT_MS } from '../../shared/limits.ts';
import { parseProvenance } from '../../shared/provenance/profile.ts';
import { put, tenantPuts, testTrust } from '../shared/kit.ts';
import worker from './main.ts';
import { Origin, sealed } from './origin.ts';

const trust = await testTrust();
const CF = { country: 'DE', colo: 'FRA', latitude: '50.1', longitude: '8.7', continent: 'EU' };

const origin = await Origin.start(trust, [
  put('global/scopes/german', { regions: ['eu1'], ingress: { countries: ['DE'] } }),
  ...tenantPuts('local', { hosts: ['local.example'], scope: 'german', home: 'eu1' }),
]);

vi.spyOn(console, 'log').mockImplementation(() => {});

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string | null;
}

function ask(url: string, init: RequestInit = {}, cf: object | null = CF): Promise<Response> {
  const given = cf === null ? {} : { cf: cf as IncomingRequestCfProperties };
  return exports.default.fetch(url, { redirect: 'manual', ...init, ...given });
}

/** What the gateway saw of a request that reached it. */
async function seen(url: string, init: RequestInit = {}, cf: object = CF): Promise<Seen> {
  const answer = await ask(url, init, cf);
  expect(answer.status).toBe(200);
  return answer.json();
}

function headerOf({ headers }: Seen, wanted: string): string | undefined {
  return headers.find(([name]) => name === wanted)?.[1];
}

function provenanceOf(request: Seen) {
  return parseProvenance(headerOf(request, 'portolan-provenance') ?? '');
}

async function bring(): Promise<Response> {
  const attestations = await origin.words(Date.now());
  const body = await sealed({ commits: origin.commits, attestations });
  return ask('https://any.example/.portolan/ingest', { method: 'POST', body });
}

beforeAll(async () => {
  const answer = ingestAnswerSchema.parse(await (await bring()).json());
  const place = { generation: 1n, version: 2n };
  const at = (id: string) => ({ id, head: place, floor: place, refused: [] });
  expect(answer.stores).toEqual(['weur', 'enam', 'apac'].map(at));
  expect(answer.edge).toMatchObject({ version: 2n, verdicts: { eu1: 'up', us1: 'up' } });
});

describe('what arrives at a gateway', () => {
  test('is the request, at the region of the decision', async () => {
    const request = await seen('https://globex.example/%7Ea/%c3%a9?q=%7e&&a=b+c%20d&%zz', {
      headers: { accept: 'text/plain', 'accept-language': 'de', cookie: 'a=1; b=2' },
    });
    expect(request.url).toBe('https://gw.eu1.example/~a/%C3%A9?q=%7e&&a=b+c%20d&%zz');
    expect([request.method, request.body]).toEqual(['GET', null]);
    expect(headerOf(request, 'accept')).toBe('text/plain');
    expect(headerOf(request, 'accept-language')).toBe('de');
    expect(headerOf(request, 'cookie')).toBe('a=1; b=2');
  });

  test('names the gateway as its host, and the client’s in the provenance', async () => {
    const request = await seen('https://a.acme.example:8443/');
    expect(headerOf(request, 'host')).toBe('gw.eu1.example');
    expect(provenanceOf(request)).toMatchObject({ host: 'a.acme.example', tenant: 'acme' });
  });

  test('says what it was decided on, under the id that the client gets (P1)', async () => {
    const answer = await ask('https://globex.example/a', { method: 'POST', body: 'x' });
    expect(provenanceOf(await answer.json())).toEqual({
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
      decision: answer.headers.get('portolan-decision'),
      hop: 1,
      body: 'unsigned',
    });
  });

  test("carries the platform's headers once, and none that the client sent (P2)", async () => {
    const request = await seen('https://globex.example/', {
      headers: { 'portolan-provenance': 'host="a"', 'Portolan-Decision': 'b', 'portolan-x': 'c' },
    });
    const platforms = request.headers.filter(([name]) => name.startsWith('portolan-'));
    expect(platforms.map(([name]) => name)).toEqual(['portolan-provenance']);
    expect(provenanceOf(request)).toMatchObject({ host: 'globex.example' });
  });

  test('has its body', async () => {
    const body = 'ü'.repeat(100_000);
    const request = await seen('https://globex.example/', { method: 'PUT', body });
    expect(request.body).toBe(body);
  });

  test('has its body while it is still being sent', async () => {
    const { readable, writable } = new TransformStream();
    const answered = seen('https://globex.example/', { method: 'POST', body: readable });
    const writer = writable.getWriter();
    for (const part of ['one ', 'two']) await writer.write(new TextEncoder().encode(part));
    await writer.close();
    expect((await answered).body).toBe('one two');
  });

  test('of a client that asks for an upgrade is a session, at the home (S3)', async () => {
    const request = await seen('https://globex.example/', { headers: { upgrade: 'h2c' } });
    expect(provenanceOf(request)).toMatchObject({ op: 'session', aud: 'us1' });
  });

  test.each(['GET', 'PUT', 'DELETE'])(
    'may be %s /.portolan/ingest, as any path',
    async (method) => {
      const request = await seen('https://acme.example/.portolan/ingest', { method });
      expect([request.method, request.url]).toEqual([
        method,
        'https://gw.eu1.example/.portolan/ingest',
      ]);
    },
  );
});

describe('what comes back', () => {
  test('has every cookie, the decision, and no line for the zone’s cache (E7)', async () => {
    const { headers } = await ask('https://acme.example/');
    expect(headers.getSetCookie()).toEqual(['a=1; Path=/', 'b=2; Path=/']);
    expect(headers.get('portolan-decision')).toMatch(/^[0-9a-f]{32}$/);
    expect(headers.get('cloudflare-cdn-cache-control')).toBeNull();
    expect(headers.get('x-gateway')).toBe('gw.eu1.example');
  });

  test('is a redirect that nobody followed (E7)', async () => {
    const answer = await ask('https://acme.example/answer/redirect');
    expect(answer.status).toBe(302);
    expect(answer.headers.get('location')).toBe('https://elsewhere.example/');
    expect(answer.headers.getSetCookie()).toHaveLength(2);
  });

  test('is an error of the gateway as it is', async () => {
    const answer = await ask('https://acme.example/answer/error');
    expect([answer.status, await answer.text()]).toEqual([500, 'down']);
  });

  test('is the head of an answer for HEAD', async () => {
    const answer = await ask('https://acme.example/', { method: 'HEAD' });
    expect([answer.status, await answer.text()]).toEqual([200, '']);
    expect(answer.headers.getSetCookie()).toHaveLength(2);
    expect(answer.headers.get('content-type')).toBe('application/json');
  });
});

describe('what is refused', () => {
  interface Problem {
    readonly title: string;
    readonly decision: string;
  }

  async function refused(url: string, cf: object | null = CF) {
    const answer = await ask(url, {}, cf);
    const { title, decision } = (await answer.json()) as Problem;
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.headers.get('portolan-decision')).toBe(decision);
    return [answer.status, title, answer.headers.has('retry-after')];
  }

  const unknown = [404, 'Unknown host', false];
  const unavailable = [503, 'Service unavailable', true];

  test.each([
    'nobody.example',
    'example',
    'b.a.acme.example',
    'globex.example.evil.example',
    'notacme.example',
    '192.0.2.1',
    '[2001:db8::1]',
    'constructor',
    'acme.example.evil',
  ])('a host that is nobody’s: %s', async (host) => {
    expect(await refused(`https://${host}/`)).toEqual(unknown);
  });

  test.each(['acme.example', 'ACME.example', 'x.acme.example', 'globex.example'])(
    'not a host that is somebody’s: %s',
    async (host) => {
      expect((await ask(`https://${host}/`)).status).toBe(200);
    },
  );

  test.each([
    ['FR', [403, 'Not available from here', false]],
    ['de', [403, 'Not available from here', false]],
    ['XX', unavailable],
    ['T1', unavailable],
    ['', unavailable],
    [undefined, unavailable],
    [7, unavailable],
  ])('where a scope names countries, one from %o (S3, S1)', async (country, expected) => {
    expect(await refused('https://local.example/', { ...CF, country })).toEqual(expected);
  });

  test('where a scope names countries, one whose country is right is served', async () => {
    expect(provenanceOf(await seen('https://local.example/'))).toMatchObject({ tenant: 'local' });
  });

  test.each(['/a%00', '/a%0d%0ab', '/%zz', '/%'])('a malformed path: %s', async (path) => {
    expect(await refused(`https://acme.example${path}`)).toEqual([400, 'Malformed path', false]);
  });
});

describe('the call itself (E7)', () => {
  const fetched = vi.spyOn(globalThis, 'fetch');

  beforeEach(() => void fetched.mockReset());
  afterEach(() => void vi.useRealTimers());

  function askWorker(url: string): Promise<Response> {
    const request = new Request(url, { cf: CF as unknown as IncomingRequestCfProperties });
    return Promise.resolve(worker.fetch(request, env, createExecutionContext()));
  }

  test('uses no cache and follows nothing', async () => {
    fetched.mockImplementation(async () => new Response('served'));
    expect(await (await askWorker('https://acme.example/')).text()).toBe('served');
    expect(fetched).toHaveBeenCalledTimes(1);
    expect(fetched.mock.calls[0]?.[1]).toMatchObject({ cache: 'no-store', redirect: 'manual' });
  });

  test('that fails is a 503 with Retry-After and a decision, and is not tried again', async () => {
    fetched.mockRejectedValue(new Error('connect 192.0.2.1:443: refused'));
    const answer = await askWorker('https://acme.example/');
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toMatch(/^[2-6]$/);
    const decision = answer.headers.get('portolan-decision');
    const problem = { type: 'about:blank', title: 'Service unavailable', status: 503, decision };
    expect(await answer.json()).toEqual(problem);
    expect(fetched).toHaveBeenCalledTimes(1);
  });

  test('is given up when no headers come in time', async () => {
    vi.useFakeTimers();
    fetched.mockImplementation((_, init) => {
      const { promise, reject } = Promise.withResolvers<Response>();
      init?.signal?.addEventListener('abort', () => reject(new Error('aborted')));
      return promise;
    });
    const outcome = sendToGateway(new Request('https://gw.eu1.example/')).catch(String);
    await vi.advanceTimersByTimeAsync(GATEWAY_TIMEOUT_MS - 1);
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await outcome).toBe('Error: aborted');
  });

  test('leaves no timer behind when headers have come', async () => {
    vi.useFakeTimers();
    fetched.mockImplementation(async () => new Response('served'));
    await sendToGateway(new Request('https://gw.eu1.example/'));
    expect(vi.getTimerCount()).toBe(0);
  });
});

test('a store that was evicted has it all again but the words, and takes those (E1)', async () => {
  const stub = env.EDGE_STORE_WEUR.getByName('weur');
  const { commits } = JSON.parse(await stub.head('weur'));
  await evictDurableObject(stub);
  const after = JSON.parse(await stub.head('weur'));
  expect([after.commits.at(-1), after.attestations]).toEqual([commits.at(-1), []]);
  const answer = ingestAnswerSchema.parse(await (await bring()).json());
  expect(answer.stores[0]).toMatchObject({ id: 'weur', floor: { version: 2n }, refused: [] });
});
