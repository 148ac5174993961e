// The regional gateway over real TLS (P2, P3): what reaches the service, with what on it, and what
// no client can do to the others.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type RequestOptions, request } from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import tls from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { nodeCrypto } from '../../agent/adapters/crypto.ts';
import type { Standing } from '../../agent/control/hold.ts';
import type { GatewayPorts } from '../../agent/gateway/admit.ts';
import { type Gateway, listenGateway } from '../../agent/gateway/listen.ts';
import { type Provenance, writeProvenance } from '../../shared/provenance/profile.ts';
import { provenanceOf, standingOf } from '../fakes/standing.ts';
import { commit, FIRST, newHolder, testTrust } from '../shared/kit.ts';
import { LOOPBACK, makeAuthority } from '../world/certificates.ts';
import { until } from '../world/wait.ts';

const NOW = 1_790_000_000_000;
const HOST = '127.0.0.1';

const authority = await makeAuthority();
const pems = await authority.issue(LOOPBACK);
const held = newHolder(await testTrust());
await commit(held, FIRST);
const active = await standingOf(held, NOW);

/** More than the buffers of both ends hold. */
const LONG = 'x'.repeat(16 * 1024 * 1024);

interface Arrival {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

let service: Server;
let arrivals: Arrival[];
/** What the service does once it has read a request. */
let answer: (arrival: Arrival, response: ServerResponse) => void;
let gateway: Gateway;
let logs: object[];
let standing: Standing | null;
let fault: Error | null;
let changed: GatewayPorts['changed'];
let nowMs: number;

beforeAll(async () => {
  service = createServer(async (incoming, response) => {
    const { method = '', url = '', headers } = incoming;
    const arrival = { method, url, headers, body: await text(incoming) };
    arrivals.push(arrival);
    answer(arrival, response);
  });
  service.listen(0, HOST);
  await once(service, 'listening');
});
afterAll(() => {
  service.close();
  service.closeAllConnections();
});

beforeEach(async () => {
  arrivals = [];
  answer = ({ body }, response) => response.end(`ok ${body}`);
  logs = [];
  standing = active;
  fault = null;
  nowMs = NOW;
  // Waiting takes the time it was given, at once.
  changed = async (ms) => {
    nowMs += ms;
  };
  gateway = await listen(`http://${HOST}:${(service.address() as AddressInfo).port}`);
});
afterEach(() => gateway.close());

function listen(url: string): Promise<Gateway> {
  return listenGateway(
    { host: HOST, port: 0, tls: pems, service: url, log: (line) => logs.push(line) },
    {
      self: 'eu1',
      standing: () => {
        if (fault !== null) throw fault;
        return standing;
      },
      changed: (ms) => changed(ms),
      nowMs: () => nowMs,
      hasher: nodeCrypto,
    },
  );
}

const header = (says: Partial<Provenance> = {}) => writeProvenance(provenanceOf(says));

interface Got {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

async function ask(options: RequestOptions = {}, body = ''): Promise<Got> {
  const all = { 'portolan-provenance': header(), ...options.headers };
  const given = Object.entries(all).filter(([, value]) => value !== undefined);
  const headers = Object.fromEntries(given);
  const outgoing = request({
    host: HOST,
    port: gateway.port,
    ca: authority.caPem,
    agent: false,
    ...options,
    headers,
  });
  const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>;
  outgoing.on('error', () => {}).end(body);
  const [response] = await answered;
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}

async function connection(): Promise<tls.TLSSocket> {
  const socket = tls.connect({ host: HOST, port: gateway.port, ca: authority.caPem });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  return socket;
}

function head(line: string, says: Partial<Provenance> = {}): string {
  return `${line} HTTP/1.1\r\nHost: x\r\nportolan-provenance: ${header(says)}\r\n`;
}

describe('an admitted call', () => {
  test('reaches the service with its path and body, and the answer comes back', async () => {
    const got = await ask({ method: 'PUT', path: '/notes/1?a=%2F' }, 'hello');
    expect(got).toMatchObject({ status: 200, body: 'ok hello' });
    expect(arrivals).toMatchObject([{ method: 'PUT', url: '/notes/1?a=%2F', body: 'hello' }]);
    expect(gateway.counts).toEqual({ answered: 1 });
  });

  test('carries what this gateway decided, under the client’s host (P3)', async () => {
    await ask({ method: 'PUT', headers: { 'portolan-provenance': header({ op: 'read' }) } });
    const { headers } = arrivals[0] ?? {};
    expect(platform(headers)).toEqual({
      'portolan-tenant': 'acme',
      'portolan-scope': 'eu',
      'portolan-op': 'write',
      'portolan-region': 'eu1',
      'portolan-decision': 'd-1',
    });
    expect(headers?.host).toBe('acme.example');
  });

  test('carries no platform header of the client, however it is spelled (P2)', async () => {
    const headers = {
      'Portolan-Tenant': 'globex',
      portolan_op: 'read',
      PORTOLAN_Region: 'us1',
      'portolan-admin': 'yes',
      'x-own': 'kept',
    };
    await ask({ headers });
    expect(platform(arrivals[0]?.headers)).toEqual({
      'portolan-tenant': 'acme',
      'portolan-scope': 'eu',
      'portolan-op': 'read',
      'portolan-region': 'eu1',
      'portolan-decision': 'd-1',
    });
    expect(arrivals[0]?.headers['x-own']).toBe('kept');
  });

  test('is answered with the header that keeps it out of every cache (E7)', async () => {
    answer = (_, response) => {
      response.setHeader('Cloudflare-CDN-Cache-Control', 'max-age=60').end();
    };
    expect((await ask()).headers['cloudflare-cdn-cache-control']).toBe('no-store');
  });

  test('may follow another on its connection', async () => {
    const socket = await connection();
    socket.write(`${head('GET /1')}\r\n`);
    socket.write(`${head('GET /2')}Connection: close\r\n\r\n`);
    expect((await text(socket)).match(/HTTP\/1\.1 200/g)).toHaveLength(2);
    expect(arrivals.map(({ url }) => url)).toEqual(['/1', '/2']);
  });

  test('is a 502 where the service is not there', async () => {
    const closed = net.createServer().listen(0, HOST);
    await once(closed, 'listening');
    const { port } = closed.address() as AddressInfo;
    closed.close();
    await gateway.close();
    gateway = await listen(`http://${HOST}:${port}`);
    expect((await ask()).status).toBe(502);
    expect(gateway.counts).toEqual({ 'upstream-failed': 1 });
  });

  test('that its client left while it waited does not reach the service', async () => {
    const gate = Promise.withResolvers<void>();
    const waiting = Promise.withResolvers<void>();
    standing = null;
    changed = () => {
      waiting.resolve();
      return gate.promise;
    };
    const socket = await connection();
    socket.write(`${head('GET /')}\r\n`);
    await waiting.promise;
    socket.destroy();
    await once(socket, 'close');
    // A call that is answered shows that the gateway has seen the end of the other.
    standing = active;
    await ask({ path: '/after' });
    gate.resolve();
    await ask({ path: '/last' });
    expect(arrivals.map(({ url }) => url)).toEqual(['/after', '/last']);
    expect(gateway.counts).toEqual({ answered: 2, 'client-gone': 1 });
  });
});

function platform(headers: IncomingMessage['headers'] = {}): Record<string, unknown> {
  const own = Object.entries(headers).filter(([name]) => /^portolan[-_]/.test(name));
  return Object.fromEntries(own);
}

describe('a refused call', () => {
  const says = (changes: Partial<Provenance>) => ({ 'portolan-provenance': header(changes) });
  test.each<readonly [number, string, string, Record<string, unknown>]>([
    [403, 'provenance-missing', '', { 'portolan-provenance': undefined }],
    [400, 'provenance-malformed', '', { 'portolan-provenance': 'garbled' }],
    [400, 'provenance-malformed', '', { 'portolan-provenance': [header(), header()] }],
    [421, 'wrong-region', 'd-1', says({ aud: 'us1' })],
    [421, 'tenant-mismatch', 'd-1', says({ host: 'nobody.example' })],
    [409, 'stale-route', 'd-1', says({ epoch: 0n })],
    [503, 'gateway-behind', 'd-1', says({ version: 9n })],
    [503, 'gateway-stale', 'd-1', says({ epoch: 9n })],
    [503, 'gateway-expired', 'd-1', { 'x-age': '400' }],
    [503, 'gateway-no-state', 'd-1', { 'x-standing': 'none' }],
    [
      403,
      'gateway-residency',
      'd-1',
      says({ host: 'globex.example', tenant: 'globex', epoch: 2n }),
    ],
  ])('%i %s: a problem report, and nothing reaches the service', async (...expected) => {
    const [status, code, decision, given] = expected;
    if (given['x-standing'] === 'none') standing = null;
    if (given['x-age'] !== undefined) nowMs += 400_000;
    const got = await ask({ method: 'PUT', headers: given as RequestOptions['headers'] }, 'body');
    expect(got).toMatchObject({ status });
    expect(JSON.parse(got.body)).toMatchObject({ type: 'about:blank', status, code, decision });
    expect(got.headers).toMatchObject({
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      'cloudflare-cdn-cache-control': 'no-store',
      connection: 'close',
    });
    // Time alone may cure it; jittered, so that clients do not come back together (S8).
    const retry = got.headers['retry-after'];
    expect(retry).toEqual(status === 503 ? expect.stringMatching(/^[2-6]$/) : undefined);
    expect(arrivals).toEqual([]);
    expect(gateway.counts).toEqual({ [code]: 1 });
  });

  // Else it is done, and the one who asked for it never hears of it.
  test('ends its connection, and whatever follows on it is not served', async () => {
    const socket = await connection();
    socket.write(`${head('GET /refused', { aud: 'us1' })}\r\n${head('PUT /next')}\r\n`);
    const seen = await text(socket);
    expect(seen.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 421']);
    await ask({ path: '/other' });
    expect(arrivals.map(({ url }) => url)).toEqual(['/other']);
  });

  // An edge that finds a reset instead of the code knows neither what was wrong nor whether to
  // retry.
  test('is answered though its body is long and still on its way', async () => {
    const headers = { 'portolan-provenance': header({ aud: 'us1' }) };
    const statuses: (number | undefined)[] = [];
    for (let i = 0; i < 10; i++) {
      const got = await ask({ method: 'PUT', headers }, LONG).catch(() => null);
      statuses.push(got?.status);
    }
    expect(statuses).toEqual(Array.from({ length: 10 }, () => 421));
  });
});

describe('whatever comes over the wire', () => {
  afterEach(async () => {
    expect(logs).toEqual([]);
    expect(await ask()).toMatchObject({ status: 200 });
  });

  function plain(): Promise<net.Socket> {
    const socket = net.connect(gateway.port, HOST);
    socket.on('error', () => {});
    return once(socket, 'connect').then(() => socket);
  }

  test.each([
    ['garbage', Buffer.alloc(4096, 0xa5)],
    ['HTTP without TLS', Buffer.from(`${head('GET /')}\r\n`)],
    ['a TLS record that lies about its length', Buffer.from('160301ffff01', 'hex')],
  ])('%s on a bare connection reaches nobody', async (_, bytes) => {
    await text((await plain()).end(bytes)).catch(() => {});
    expect(arrivals).toEqual([]);
  });

  test('a handshake that is broken off is forgotten', async () => {
    for (let i = 0; i < 10; i++) {
      const socket = await plain();
      socket.write(Buffer.from('16030100c8010000c40303', 'hex'));
      socket.resetAndDestroy();
      await once(socket, 'close');
    }
  });

  test.each([
    ['no HTTP', '\x00\x01\x02\r\n\r\n', 400],
    ['a header without name', `${head('GET /')}: x\r\n\r\n`, 400],
    ['a header of 20 KiB', `${head('GET /')}x: ${'y'.repeat(20_000)}\r\n\r\n`, 431],
    ['four thousand headers', `${head('GET /')}${'x: y\r\n'.repeat(4_000)}\r\n`, 431],
    ['two lengths', `${head('PUT /')}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`, 400],
    [
      'two ends',
      `${head('PUT /')}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      400,
    ],
  ])('%s over TLS is refused and reaches nobody', async (_, bytes, status) => {
    const socket = await connection();
    socket.write(bytes);
    expect((await text(socket)).split('\r\n')[0]).toMatch(`HTTP/1.1 ${status}`);
    expect(arrivals).toEqual([]);
  });

  test('a request cut off in its head or body ends with its connection', async () => {
    for (const bytes of [head('GET /'), `${head('PUT /')}Content-Length: 9\r\n\r\nhalf`]) {
      const socket = await connection();
      socket.write(bytes);
      socket.destroy();
      await once(socket, 'close');
    }
    expect(arrivals).toEqual([]);
  });
});

// A rejection that nobody handles would end the agent with its gateway.
test('a fault of its own ends that call, is logged, and ends nothing else', async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  process.on('unhandledRejection', note);
  fault = new Error('a bug');
  expect(await ask().catch(() => 'no answer')).toBe('no answer');
  fault = null;
  expect(await ask()).toMatchObject({ status: 200 });
  process.off('unhandledRejection', note);
  expect([logs, unhandled]).toEqual([[{ alarm: 'gateway-bug', error: 'Error: a bug' }], []]);
});

describe('closing', () => {
  const END = { deadlineMs: 2_000 };

  test('ends what hangs and what is idle, and resolves', async () => {
    const reached = Promise.withResolvers<void>();
    const idle = await connection();
    idle.resume().write(`${head('GET /')}\r\n`);
    await once(idle, 'data');
    answer = () => reached.resolve();
    const hanging = ask().catch((error: unknown) => error);
    await reached.promise;
    await gateway.close();
    expect(await hanging).toBeInstanceOf(Error);
    await until('the idle connection ends', () => idle.destroyed, END);
    expect(gateway.counts).toEqual({ answered: 1, 'client-gone': 1 });
  });

  // A connection that nobody ends keeps the process: it would not go when it is told to.
  test('ends a connection that is still in its handshake', async () => {
    const socket = net.connect(gateway.port, HOST).on('error', () => {});
    await once(socket.resume(), 'connect');
    await ask();
    await gateway.close();
    try {
      await until('the connection ends', () => socket.destroyed, END);
    } finally {
      socket.destroy();
    }
  });
});

test('a port that is taken rejects', async () => {
  const options = { host: HOST, port: gateway.port, tls: pems, log: () => {} };
  const service = 'http://127.0.0.1:1';
  const ports = { self: 'eu1', standing: () => null, changed, nowMs: () => 0, hasher: nodeCrypto };
  await expect(listenGateway({ ...options, service }, ports)).rejects.toMatchObject({
    code: 'EADDRINUSE',
  });
});
