// Who may do what: the whole table, once without TLS and once with client certificates.

import { once } from 'node:events';
import { request as requestTls } from 'node:https';
import net from 'node:net';
import { text } from 'node:stream/consumers';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UNAUTHORIZED } from '../../agent/api/access.ts';
import { type Api, listenApi } from '../../agent/api/listen.ts';
import { routes } from '../../agent/api/routes.ts';
import { canonical } from '../../shared/canonical.ts';
import { REQUEST_LIFE_MS } from '../../shared/limits.ts';
import { type Authority, LOOPBACK, makeAuthority } from '../world/certificates.ts';
import { type Asked, ask, HOST, idlePorts, signedBy } from './api-rig.ts';

const READS = [
  '/v1/status',
  '/v1/attestations',
  '/v1/history',
  '/v1/commits',
  '/v1/trust',
  '/v1/joins/eu1-1',
  '/v1/openapi.json',
];
const INQUIRY = '{"host":"acme.example","method":"GET","path":"/"}';

let plain: Api;
let secure: Api;
let authority: Authority;
let stranger: Authority;

beforeAll(async () => {
  [authority, stranger] = await Promise.all([makeAuthority(), makeAuthority()]);
  const { cert, key } = await authority.issue(LOOPBACK);
  const tls = { cert, key, clientCa: authority.caPem };
  plain = await listenApi({ host: HOST, port: 0 }, idlePorts());
  secure = await listenApi({ host: HOST, port: 0, tls }, idlePorts());
});
afterAll(() => {
  plain.close();
  secure.close();
});

/** Asks the listener with TLS, with a certificate of that authority or with none. */
async function askTls(path: string, by: Authority | null, more: Partial<Asked> = {}) {
  const own = by === null ? {} : await by.issueClient('operator');
  return ask({ port: secure.port, path, tls: { ca: authority.caPem, ...own }, ...more });
}

describe('a read', () => {
  test.each(READS)('%s is for who signs or shows a certificate', async (path) => {
    const { port } = plain;
    const unsigned = await ask({ port, path });
    expect(unsigned).toMatchObject({ status: 401, body: canonical(UNAUTHORIZED.body) });
    expect(unsigned.headers).toMatchObject({ 'www-authenticate': 'Portolan' });
    for (const by of ['alice', 'agent eu1-1']) {
      expect((await ask({ port, path, by })).status).not.toBe(401);
    }
    expect((await askTls(path, null)).status).toBe(401);
    expect((await askTls(path, stranger)).status).toBe(401);
    expect((await askTls(path, authority)).status).not.toBe(401);
    expect((await askTls(path, null, { by: 'bob' })).status).not.toBe(401);
  });

  test('explain too, though it is asked with a body', async () => {
    const asked = { port: plain.port, method: 'POST', path: '/v1/explain', body: INQUIRY } as const;
    expect((await ask(asked)).status).toBe(401);
    expect((await ask({ ...asked, by: 'alice' })).value).toMatchObject({ code: 'no-state' });
    const authorization = await signedBy('alice', 'POST', '/v1/explain', '{}');
    expect((await ask({ ...asked, headers: { authorization } })).status).toBe(401);
  });

  test('a key of another role reads nothing', async () => {
    for (const by of ['p1', 'shop', 'rec', 'edge', 'root r1', 'nobody']) {
      expect([by, (await ask({ port: plain.port, path: '/v1/status', by })).status]).toEqual([
        by,
        401,
      ]);
    }
  });

  test('an old request, one for another target, and garbage are told the same', async () => {
    const path = '/v1/status';
    const old = Date.now() - REQUEST_LIFE_MS - 1_000;
    const headers = [
      await signedBy('alice', 'GET', path, '', old),
      await signedBy('alice', 'GET', '/v1/history'),
      await signedBy('alice', 'POST', path),
      'Portolan AAAA',
      'Basic YTpi',
      '',
    ];
    for (const authorization of headers) {
      const got = await ask({ port: plain.port, path, headers: { authorization } });
      expect(got).toMatchObject({ status: 401, body: canonical(UNAUTHORIZED.body) });
    }
  });
});

describe('what needs neither', () => {
  test('healthz says ok and no more', async () => {
    expect(await ask({ port: plain.port, path: '/healthz' })).toMatchObject({
      status: 200,
      body: '{"ok":true}',
    });
    expect((await askTls('/healthz', null)).status).toBe(200);
  });

  test.each(['/v1/delta', '/v1/commits'])('POST %s carries its own signatures', async (path) => {
    const body = '{}';
    const got = await ask({ port: plain.port, method: 'POST', path, body });
    expect([200, 400]).toContain(got.status);
    expect((await askTls(path, stranger, { method: 'POST', body })).status).toBe(got.status);
  });

  test('every other route asks', () => {
    const open = routes.filter(({ access }) => access === 'open' || access === 'self-signed');
    expect(open.map(({ method, path }) => `${method} ${path}`).sort()).toEqual([
      'GET /healthz',
      'POST /v1/commits',
      'POST /v1/cosign',
      'POST /v1/delta',
      'POST /v1/tenants',
      'POST /v1/trust',
    ]);
  });
});

describe('TLS', () => {
  test('without an authority for clients a certificate counts for nothing', async () => {
    const { cert, key } = await authority.issue(LOOPBACK);
    const api = await listenApi({ host: HOST, port: 0, tls: { cert, key } }, idlePorts());
    const own = await authority.issueClient('operator');
    const tls = { ca: authority.caPem, ...own };
    const got = await ask({ port: api.port, path: '/v1/status', tls });
    api.close();
    expect(got.status).toBe(401);
  });

  test('a server certificate is no client certificate', async () => {
    const own = await authority.issue(LOOPBACK);
    const tls = { ca: authority.caPem, ...own };
    expect((await ask({ port: secure.port, path: '/v1/status', tls })).status).toBe(401);
  });

  test('a session without a certificate, taken up again, still reads nothing', async () => {
    const ca = authority.caPem;
    const first = connect({ host: HOST, port: secure.port, ca, minVersion: 'TLSv1.3' });
    const ticket = once(first, 'session') as Promise<[Buffer]>;
    await once(first, 'secureConnect');
    first.write('GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n');
    const [session] = await ticket;
    first.destroy();
    // Node passes `session` on to the handshake; its types know it of the handshake alone.
    const again = { host: HOST, port: secure.port, path: '/v1/status', ca, session };
    const outgoing = requestTls({ ...again, agent: false }).end();
    const [response] = await once(outgoing, 'response');
    expect((outgoing.socket as TLSSocket).isSessionReused()).toBe(true);
    expect([response.statusCode, await text(response)]).toEqual([
      401,
      canonical(UNAUTHORIZED.body),
    ]);
  });

  test('closing ends a handshake that nobody goes on with', async () => {
    const { cert, key } = await authority.issue(LOOPBACK);
    const api = await listenApi({ host: HOST, port: 0, tls: { cert, key } }, idlePorts());
    const idle = net.connect(api.port, HOST).on('error', () => {});
    await once(idle.resume(), 'connect');
    // The one after it is served, so the server has taken the first.
    const tls = { ca: authority.caPem };
    expect((await ask({ port: api.port, path: '/healthz', tls })).status).toBe(200);
    const startMs = performance.now();
    api.close();
    await once(idle, 'close');
    expect(performance.now() - startMs).toBeLessThan(1_000);
  });

  test('plain text on the secure port ends its own connection alone', async () => {
    expect((await ask({ port: secure.port, path: '/healthz' })).status).toBe(0);
    expect((await askTls('/healthz', null)).status).toBe(200);
  });
});
