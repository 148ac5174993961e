// The agent's own listener, and the push that reaches it: deltas in, status out, and nothing that a
// stranger sends ends it.

import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { pushOverHttp } from '../../agent/adapters/push.ts';
import { DELTA_PATH } from '../../agent/api/deltas.ts';
import { type Api, listenApi } from '../../agent/api/listen.ts';
import type { ApiPorts } from '../../agent/api/ports.ts';
import { STATUS_PATH } from '../../agent/api/reads.ts';
import { canonical } from '../../shared/canonical.ts';
import type { StoreAnswer } from '../../shared/control/answer.ts';
import { refuse } from '../../shared/control/refusal.ts';
import { DELTA_BYTES_MAX, PUSH_ANSWER_BYTES_MAX, PUSH_TIMEOUT_MS } from '../../shared/limits.ts';
import { Fleet } from '../fakes/fleet.ts';
import { noTenants } from '../fakes/provisioners.ts';
import { until } from '../world/wait.ts';
import { type Asked, ask as askApi, HOST, idlePorts, opened } from './api-rig.ts';

const ANSWER: StoreAnswer = {
  id: 'eu1-1',
  head: { generation: 1n, version: 2n },
  floor: null,
  refused: ['gap'],
};

let api: Api;
let delivered: string[];
let deliver: ApiPorts['deliver'];
let status: () => object;
let logs: object[];

beforeEach(async () => {
  delivered = [];
  logs = [];
  deliver = async (delta) => {
    delivered.push(delta);
    return ANSWER;
  };
  status = () => ({ b: 2n, a: 'é' });
  api = await listenApi(
    { host: HOST, port: 0 },
    idlePorts({
      deliver: (delta) => deliver(delta),
      status: () => status(),
      tenants: noTenants,
      log: (line) => logs.push(line),
    }),
  );
});
afterEach(() => api.close());

/** Signed where reading asks for it. */
function ask(method: Asked['method'], path: string, body: string | Buffer = '') {
  const by = path.startsWith(STATUS_PATH) ? 'alice' : null;
  return askApi({ port: api.port, ...(method && { method }), path, body, by });
}

describe('a delta', () => {
  test('is handed over as it came, and answered', async () => {
    const got = await ask('POST', DELTA_PATH, '{"v":1, "é": "😀"}');
    expect(got).toMatchObject({ status: 200, body: canonical(ANSWER) });
    expect(got.headers).toMatchObject({
      'content-type': 'application/json',
      'cache-control': 'no-store',
    });
    expect(delivered).toEqual(['{"v":1, "é": "😀"}']);
  });

  test.each([
    [DELTA_BYTES_MAX, 200, 1],
    [DELTA_BYTES_MAX + 1, 413, 0],
    [DELTA_BYTES_MAX * 4, 413, 0],
  ])('of %i bytes is answered %i', async (bytes, expected, count) => {
    const got = await ask('POST', DELTA_PATH, 'x'.repeat(bytes));
    expect([got.status, delivered.length]).toEqual([expected, count]);
    if (expected === 413) expect(got.value).toMatchObject({ code: 'too-large' });
  });

  test('is counted in bytes, not in characters', async () => {
    await ask('POST', DELTA_PATH, '€'.repeat(DELTA_BYTES_MAX / 2));
    expect(delivered).toEqual([]);
  });

  test('of bytes that are no UTF-8 is handed over, for its reader to refuse', async () => {
    expect((await ask('POST', DELTA_PATH, Buffer.from('ff00fe', 'hex'))).status).toBe(200);
    expect(delivered).toEqual(['\ufffd\0\ufffd']);
  });

  // A peer's push ends after its timeout, every time it is slow: that is no fault in this program.
  test('that its sender breaks off is no alarm', async () => {
    const headers = { 'content-length': '100' };
    const outgoing = opened({ port: api.port, method: 'POST', path: DELTA_PATH, headers });
    outgoing.write('half');
    await once(outgoing, 'socket').then(([socket]) => once(socket as net.Socket, 'connect'));
    await ask('GET', STATUS_PATH);
    outgoing.destroy();
    await until('the API has seen its end', () => closedOnce(), { deadlineMs: 2_000 });
    expect(logs).toEqual([]);
    expect(delivered).toEqual([]);
  });

  /** The listener has only one connection left: the one that asks. */
  async function closedOnce(): Promise<boolean> {
    return (await ask('GET', STATUS_PATH)).status === 200 && (await ask('GET', '/')).status === 404;
  }

  test('that its reader fails on is logged, and answered without a word of why', async () => {
    deliver = () => Promise.reject(new Error('a secret'));
    const got = await ask('POST', DELTA_PATH, '{}');
    expect(got).toMatchObject({ status: 500, value: { code: 'internal' } });
    expect(got.body).not.toContain('secret');
    expect(logs).toEqual([{ alarm: 'api-bug', error: 'Error: a secret' }]);
    expect((await ask('GET', STATUS_PATH)).status).toBe(200);
  });

  test('of a stranger is answered with the code alone', async () => {
    deliver = async () => refuse('key-unknown', 'trust names no key of him');
    const got = await ask('POST', DELTA_PATH, '{}');
    expect([got.status, got.value]).toEqual([403, { code: 'key-unknown' }]);
  });

  test('of one agent is taken by another over HTTP', async () => {
    const fleet = await Fleet.afloat();
    deliver = (delta) => fleet.agent('w1').deliver(delta);
    await fleet.turn('us1');
    const message = fleet.wire.find(({ to }) => to === 'w1');
    const answered = await pushOverHttp(
      `http://${HOST}:${api.port}${DELTA_PATH}`,
      message?.delta ?? '',
    );
    expect(JSON.parse(answered)).toEqual({
      id: 'w1-1',
      head: { generation: '1', version: '1' },
      floor: { generation: '1', version: '1' },
      refused: [],
    });
  });
});

describe('status', () => {
  test('is canonical JSON, for who may read', async () => {
    const got = await ask('GET', STATUS_PATH);
    expect(got).toMatchObject({ status: 200, body: '{"a":"é","b":"2"}' });
    expect(got.headers).toMatchObject({ 'cache-control': 'no-store' });
  });

  test('that cannot be told is a bug that is logged, and ends nothing else', async () => {
    status = () => {
      throw new Error('a bug');
    };
    expect((await ask('GET', STATUS_PATH)).status).toBe(500);
    expect(logs).toHaveLength(1);
    expect((await ask('POST', DELTA_PATH, '{}')).status).toBe(200);
  });
});

test.each([
  ['GET', '/'],
  ['GET', DELTA_PATH],
  ['PUT', DELTA_PATH],
  ['POST', STATUS_PATH],
  ['HEAD', STATUS_PATH],
  ['DELETE', STATUS_PATH],
  ['OPTIONS', '*'],
  ['GET', `${STATUS_PATH}/`],
  ['GET', `http://${HOST}${STATUS_PATH}`],
  ['POST', `/x/..${DELTA_PATH}`],
  ['POST', `/./${DELTA_PATH.slice(1)}`],
  ['POST', '/v1/%64elta'],
  ['POST', '//v1/delta'],
  ['POST', '/V1/DELTA'],
] as const)('there is nothing at %s %s', async (method, path) => {
  const got = await ask(method, path, method === 'POST' || method === 'PUT' ? 'x' : '');
  expect(got.status).toBe(404);
  expect([delivered, logs]).toEqual([[], []]);
});

test.each([
  ['garbage', '\x16\x03\x01\x00'.repeat(100)],
  ['a head without end', `GET / HTTP/1.1\r\n${'x: y\r\n'.repeat(5_000)}`],
  ['two lengths', `POST ${DELTA_PATH} HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx`],
  ['a tunnel', 'CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n'],
  [
    'a chunk that lies',
    `POST ${DELTA_PATH} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n`,
  ],
])('%s ends its own connection alone', async (_, bytes) => {
  const socket = net.connect(api.port, HOST).on('error', () => {});
  socket.resume().write(bytes);
  await once(socket, 'close');
  expect(delivered).toEqual([]);
  expect((await ask('GET', STATUS_PATH)).status).toBe(200);
});

test('closing ends what hangs and what is idle', async () => {
  const reached = Promise.withResolvers<void>();
  deliver = () => {
    reached.resolve();
    return new Promise(() => {});
  };
  const hanging = ask('POST', DELTA_PATH, '{}');
  const idle = net.connect(api.port, HOST).on('error', () => {});
  await once(idle.resume(), 'connect');
  await reached.promise;
  api.close();
  expect((await hanging).status).toBe(0);
  await until('the idle connection ends', () => idle.destroyed, { deadlineMs: 2_000 });
});

test('a port that is taken rejects', async () => {
  await expect(listenApi({ host: HOST, port: api.port }, idlePorts())).rejects.toMatchObject({
    code: 'EADDRINUSE',
  });
});

describe('pushing', () => {
  /** Pushes `{}` to a server that answers like this. */
  async function pushed(listener: RequestListener): Promise<string> {
    const server = createServer(listener).listen(0, HOST);
    await once(server, 'listening');
    try {
      return await pushOverHttp(`http://${HOST}:${(server.address() as AddressInfo).port}/d`, '{}');
    } finally {
      server.close();
      server.closeAllConnections();
    }
  }

  test('posts JSON and hands back the answer', async () => {
    const seen: unknown[] = [];
    const answered = await pushed(async (incoming, response) => {
      const { method, url, headers } = incoming;
      seen.push(method, url, headers['content-type'], await text(incoming));
      response.end('answer');
    });
    expect([...seen, answered]).toEqual(['POST', '/d', 'application/json', '{}', 'answer']);
  });

  test('keeps characters whole, wherever the network cuts', async () => {
    const long = '€'.repeat(80_000);
    expect((await pushed((_, response) => response.end(long))) === long).toBe(true);
  });

  test.each([
    ['a refusal', 403, {}, 'no', 'answered 403 no'],
    ['a redirect', 307, { location: '/elsewhere' }, '', 'answered 307 '],
    ['no content', 204, {}, '', 'answered 204 '],
  ])('%s rejects, and nothing is asked again', async (_, code, headers, body, says) => {
    let asked = 0;
    const answered = pushed((__, response) => {
      asked++;
      response.writeHead(code, headers).end(body);
    });
    await expect(answered).rejects.toThrow(says);
    expect(asked).toBe(1);
  });

  test.each([PUSH_ANSWER_BYTES_MAX, PUSH_ANSWER_BYTES_MAX + 1])(
    'an answer of %i bytes',
    async (bytes) => {
      const answered = pushed((_, response) => response.end('x'.repeat(bytes)));
      if (bytes > PUSH_ANSWER_BYTES_MAX) await expect(answered).rejects.toThrow('too large');
      else expect(await answered).toHaveLength(bytes);
    },
  );

  test('an answer that does not come, or does not end, rejects in time', async () => {
    const startMs = performance.now();
    const answers = [pushed(() => {}), pushed((_, response) => void response.write('x'))];
    for (const answered of answers) await expect(answered).rejects.toThrow(/timeout/);
    expect(performance.now() - startMs).toBeLessThan(PUSH_TIMEOUT_MS + 1_000);
  });

  test('a connection that is refused or broken rejects', async () => {
    await expect(pushed((_, response) => response.destroy())).rejects.toThrow();
    await expect(pushOverHttp(`http://${HOST}:1/`, '{}')).rejects.toThrow();
  });
});
