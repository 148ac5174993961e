// How much and how long: bodies just within their bounds and one byte over, clients that are slow
// or never end, and what no route expects.

import { once } from 'node:events';
import net from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Api, listenApi } from '../../agent/api/listen.ts';
import {
  API_BODIES_BYTES_MAX,
  API_HEADER_BYTES_MAX,
  COMMIT_BODY_BYTES_MAX,
  EXPLAIN_BODY_BYTES_MAX,
} from '../../agent/limits.ts';
import { DELTA_BYTES_MAX } from '../../shared/limits.ts';
import { pause, until } from '../world/wait.ts';
import { ask, HOST, idlePorts, signedBy } from './api-rig.ts';

/** More than kernels buffer. */
const STATUS_BYTES = 64 * 1024 * 1024;

const TIMEOUTS = { headersMs: 200, requestMs: 400, answerMs: 300 };

let api: Api;
let logs: object[];

beforeEach(async () => {
  logs = [];
  const ports = idlePorts({
    log: (line) => logs.push(line),
    status: () => ({ much: 'x'.repeat(STATUS_BYTES) }),
  });
  api = await listenApi({ host: HOST, port: 0, timeouts: TIMEOUTS }, ports);
});
afterEach(() => api.close());

const bodies = [
  ['/v1/commits', COMMIT_BODY_BYTES_MAX],
  ['/v1/explain', EXPLAIN_BODY_BYTES_MAX],
] as const;

describe.each(bodies)('a body for %s', (path, maxBytes) => {
  test('just within the bound is read, one byte over is not', async () => {
    for (const [bytes, status, code] of [
      [maxBytes, 400, 'malformed'],
      [maxBytes + 1, 413, 'too-large'],
    ] as const) {
      const body = ' '.repeat(bytes);
      const got = await ask({ port: api.port, method: 'POST', path, body, by: 'alice' });
      expect(got).toMatchObject({ status, value: { code, detail: expect.any(String) } });
    }
  });
});

test('all bodies together just within their bound are read, one byte over is not', async () => {
  const own = await listenApi({ host: HOST, port: 0 }, idlePorts());
  const many = API_BODIES_BYTES_MAX / DELTA_BYTES_MAX;
  const open = (bytes: number) => {
    const socket = net.connect(own.port, HOST).on('error', () => {});
    const head = `POST /v1/delta HTTP/1.1\r\nHost: a\r\nContent-Length: ${DELTA_BYTES_MAX}\r\n\r\n`;
    socket.write(head);
    socket.write(Buffer.alloc(bytes, 32));
    return socket;
  };
  // All but the last byte of each, so that none is done, and all that is left to one more.
  const held = Array.from({ length: many }, () => open(DELTA_BYTES_MAX - 1));
  await Promise.all(held.map((socket) => sent(socket)));
  const delta = (bytes: number) => {
    return ask({ port: own.port, method: 'POST', path: '/v1/delta', body: ' '.repeat(bytes) });
  };
  await until('what was sent is held', async () => (await delta(many + 1)).status === 503, {
    deadlineMs: 10_000,
  });
  expect((await delta(many)).status).toBe(200);
  expect(await delta(many + 1)).toMatchObject({
    status: 503,
    value: { code: 'busy' },
    headers: { 'retry-after': expect.stringMatching(/^\d+$/) },
  });
  for (const socket of held) socket.destroy();
  await until('it is let go', async () => (await delta(many + 1)).status === 200, {
    deadlineMs: 10_000,
  });
  own.close();
}, 30_000);

/** What was written has left this process. */
async function sent(socket: net.Socket): Promise<void> {
  if (socket.writableLength > 0) await once(socket, 'drain');
}

test('a body for who reads without one is too large', async () => {
  const got = await ask({
    port: api.port,
    path: '/v1/history',
    body: 'x',
    by: 'alice',
    headers: { 'content-length': '1' },
  });
  expect(got.status).toBe(413);
});

test('headers within their bound are read, over it the connection is answered 431', async () => {
  const headers = (chars: number) => ({ 'x-long': 'x'.repeat(chars) });
  const path = '/healthz';
  const within = await ask({ port: api.port, path, headers: headers(API_HEADER_BYTES_MAX - 512) });
  expect(within.status).toBe(200);
  const socket = net.connect(api.port, HOST).on('error', () => {});
  socket.write(
    `GET /healthz HTTP/1.1\r\nHost: a\r\nx: ${'x'.repeat(API_HEADER_BYTES_MAX)}\r\n\r\n`,
  );
  const [answer] = await once(socket, 'data');
  expect(String(answer)).toMatch(/^HTTP\/1\.1 431 /);
});

describe('a client that', () => {
  const slow: readonly (readonly [string, string])[] = [
    ['says nothing', ''],
    ['never ends its headers', 'GET /healthz HTTP/1.1\r\nHost: a\r\n'],
    [
      'never ends its body',
      'POST /v1/delta HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf',
    ],
    [
      'never ends a body nobody wants',
      'POST /v1/status HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf',
    ],
  ];
  test.each(slow)('%s is let go', async (_, bytes) => {
    const socket = net.connect(api.port, HOST).on('error', () => {});
    socket.resume().write(bytes);
    await once(socket, 'close');
    expect(logs).toEqual([]);
    expect((await ask({ port: api.port, path: '/healthz' })).status).toBe(200);
  });

  test('does not take its answer is let go', async () => {
    const authorization = await signedBy('alice', 'GET', '/v1/status');
    const socket = net.connect(api.port, HOST).on('error', () => {});
    socket.pause();
    socket.write(`GET /v1/status HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\n\r\n`);
    const { signal } = new AbortController();
    await pause(TIMEOUTS.requestMs + TIMEOUTS.answerMs + 300, signal);
    // What the two kernels had taken by then is all that comes.
    socket.resume();
    await once(socket, 'close');
    expect(socket.bytesRead).toBeGreaterThan(0);
    expect(socket.bytesRead).toBeLessThan(STATUS_BYTES);
  });
});

describe('a question of another form', () => {
  const wrong: readonly (readonly [string, string, string])[] = [
    ['GET', '/v1/history?limit=0', ''],
    ['GET', '/v1/history?limit=1&limit=2', ''],
    ['GET', '/v1/history?limt=1', ''],
    ['GET', '/v1/commits?from=0', ''],
    ['GET', '/v1/commits?from=-1', ''],
    ['GET', '/v1/commits?from=9223372036854775808', ''],
    ['GET', '/v1/joins/EU1', ''],
    ['GET', '/v1/joins/%2e%2e%2ftrust', ''],
    ['POST', '/v1/explain', '{"host":"a.example","method":"GET","path":"/","lat":1}'],
    ['POST', '/v1/explain', '{"host":"a.example","method":"GET","path":"x"}'],
    ['POST', '/v1/explain', '{"host":"a.example","method":"GET","path":"/","more":1}'],
    ['POST', '/v1/explain', `${'['.repeat(10_000)}`],
    ['POST', '/v1/commits', '{"payload":"","signatures":[]}'],
    ['POST', '/v1/commits', 'null'],
    ['POST', '/v1/commits', '\ufffd'],
  ];
  test.each(wrong)('%s %s %s is malformed, and says where', async (method, path, body) => {
    const asked = { port: api.port, method: method as 'GET', path, body, by: 'alice' };
    const got = await ask(asked);
    expect([400, 404]).toContain(got.status);
    expect(got.value).toMatchObject({ detail: expect.stringMatching(/./) });
    expect(logs).toEqual([]);
  });
});
