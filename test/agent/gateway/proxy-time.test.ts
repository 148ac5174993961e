// The clocks of an exchange. Time passes when a test says so, in one step and after everything that
// is under way has come to rest; the rest (sockets, streams) is real.

import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import net from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { beforeEach, expect, test, vi } from 'vitest';
import {
  ask,
  atRest,
  type Gateway,
  type GatewayOptions,
  gateway,
  held,
  open,
  rawRequest,
  service,
} from './proxy-rig.ts';

vi.setConfig({ testTimeout: 30_000 });

const HEADERS_MS = 30_000;
const IDLE_MS = 60_000;
const DEADLINE_MS = 300_000;
const TIMES = { headersTimeoutMs: HEADERS_MS, bodyIdleTimeoutMs: IDLE_MS, deadlineMs: DEADLINE_MS };

const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
const HALF_PUT =
  'PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\nConnection: close\r\n\r\nhello';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  return () => void vi.useRealTimers();
});

async function pass(ms: number): Promise<void> {
  await atRest(() => 0);
  vi.advanceTimersByTime(ms);
  await atRest(() => 0);
}

/** The exchange lives to the last millisecond of `ms`, and not beyond it. */
async function endsAfter(ms: number, response: ServerResponse): Promise<void> {
  await pass(ms - 1);
  expect(response.closed).toBe(false);
  await pass(1);
  if (!response.closed) await once(response, 'close');
}

interface Rig {
  readonly gw: Gateway;
  next(): Promise<readonly [IncomingMessage, ServerResponse]>;
}

async function rig(options: GatewayOptions = {}): Promise<Rig> {
  const { handler, next } = held();
  return { gw: await gateway(await service(handler), { ...TIMES, ...options }), next };
}

/** A body without end. */
function endless(): Readable {
  const chunk = Buffer.alloc(64 * 1024, 'chart');
  return new Readable({
    read() {
      this.push(chunk);
    },
  });
}

const problem = (title: string, status: number, code: string) => ({
  type: 'about:blank',
  ...{ title, status, code, decision: 'd-1' },
});

test.each([
  ['a request', {}, HEADERS_MS, 'service-silent', 'GET', ''],
  ['a request with a body', {}, HEADERS_MS, 'service-silent', 'PUT', 'body'],
  ['the whole exchange', { deadlineMs: 1000 }, 1000, 'exchange-deadline', 'GET', ''],
] as const)(
  'no answer in the time for %s is a 504',
  async (_fact, times, ms, code, method, body) => {
    const { gw, next } = await rig(times);
    const answer = ask(gw.port, { method }, body);
    const [, response] = await next();
    await endsAfter(ms, response);
    const { status, text } = await answer;
    expect([status, JSON.parse(text)]).toEqual([504, problem('Gateway Timeout', 504, code)]);
    expect(await gw.outcome()).toEqual({ kind: 'deadline', code });
  },
);

test('hints are no answer', async () => {
  const { gw, next } = await rig();
  const answer = ask(gw.port);
  const [, response] = await next();
  await pass(HEADERS_MS - 1);
  response.writeEarlyHints({ link: '</a>; rel=preload' });
  await pass(1);
  expect(await answer).toMatchObject({ status: 504 });
});

test('a request or an upload that gets no connection in time is a 504', async () => {
  const { gw, next } = await rig({ connections: 1 });
  const first = ask(gw.port);
  const [, response] = await next();
  response.flushHeaders();
  const waiting = ask(gw.port);
  const client = net.connect(gw.port, '127.0.0.1').on('error', () => {});
  client.write(HALF_PUT);
  await pass(HEADERS_MS);
  expect(await waiting).toMatchObject({ status: 504 });
  expect(await gw.outcome()).toEqual({ kind: 'deadline', code: 'service-silent' });
  response.write('.');
  // An upload has begun, so it waits as bodies do, and not by the fault of its client.
  await pass(IDLE_MS - HEADERS_MS);
  expect(await gw.outcome()).toEqual({ kind: 'deadline', code: 'service-silent' });
  response.end();
  expect(await first).toMatchObject({ status: 200, text: '.' });
  client.destroy();
});

test('a body that stops is cut off; one that goes on is not', async () => {
  const { gw, next } = await rig();
  const answer = ask(gw.port);
  const [, response] = await next();
  response.flushHeaders();
  await pass(IDLE_MS - 1);
  response.write('hel');
  await pass(IDLE_MS - 1);
  response.write('lo');
  await endsAfter(IDLE_MS, response);
  expect(await answer).toMatchObject({ status: 200, text: 'hello', isWhole: false });
  expect(await gw.outcome()).toEqual({ kind: 'deadline', code: 'service-silent' });
});

test('an upload that goes on is not cut off, and the answer has its own time', async () => {
  const { gw, next } = await rig();
  const client = net.connect(gw.port, '127.0.0.1');
  client.write(HALF_PUT);
  const [incoming, response] = await next();
  incoming.resume();
  await pass(IDLE_MS - 1);
  client.write('x'.repeat(44));
  await pass(IDLE_MS - 1);
  client.write('x');
  await endsAfter(HEADERS_MS, response);
  expect(await gw.outcome()).toEqual({ kind: 'deadline', code: 'service-silent' });
  client.destroy();
});

test('a body that drips is cut off at the deadline', async () => {
  const { gw, next } = await rig();
  const answer = ask(gw.port);
  const [, response] = await next();
  for (let drops = 1; drops < 6; drops += 1) {
    response.write('.');
    await pass(DEADLINE_MS / 6);
  }
  response.write('.');
  await endsAfter(DEADLINE_MS / 6, response);
  expect(await answer).toMatchObject({ status: 200, isWhole: false });
  expect(await gw.outcome()).toEqual({ kind: 'deadline', code: 'exchange-deadline' });
});

test('without a deadline, a body that drips goes on', async () => {
  const { gw, next } = await rig({ deadlineMs: 0 });
  const answer = ask(gw.port);
  const [, response] = await next();
  for (let drops = 0; drops < 10; drops += 1) {
    response.write('.');
    await pass(IDLE_MS - 1);
  }
  response.end();
  expect(await answer).toMatchObject({ status: 200, text: '..........', isWhole: true });
});

test('a client that stops sending is told so, and the service is let go', async () => {
  const { gw, next } = await rig();
  const answer = rawRequest(gw.port, HALF_PUT.replace('Connection: close\r\n', ''));
  const [, response] = await next();
  await endsAfter(IDLE_MS, response);
  const { text } = await answer;
  expect(text).toMatch(/^HTTP\/1.1 408 .*\r\nConnection: close\r\n/s);
  expect(JSON.parse(text.slice(text.indexOf('{')))).toEqual(
    problem('Request Timeout', 408, 'client-idle'),
  );
  expect(await gw.outcome()).toEqual({ kind: 'deadline', code: 'client-idle' });
});

test('a service that stops reading is a 504, not the fault of the client', async () => {
  const { gw, next } = await rig();
  const outgoing = open(gw.port, { method: 'PUT' }).on('error', () => {});
  const answered = once(outgoing, 'response');
  const sent = pipeline(endless(), outgoing).catch(() => {});
  await next();
  await atRest(() => outgoing.socket?.bytesWritten ?? 0);
  await pass(IDLE_MS);
  const [answer] = (await answered) as [IncomingMessage];
  expect(answer.statusCode).toBe(504);
  expect(await gw.outcome()).toEqual({ kind: 'deadline', code: 'service-silent' });
  outgoing.destroy();
  await sent;
});

test('a client that stops reading is cut off', async () => {
  const { gw, next } = await rig();
  const client = net.connect(gw.port, '127.0.0.1').pause();
  client.write(GET);
  const [, response] = await next();
  endless().pipe(response);
  await atRest(() => response.socket?.bytesWritten ?? 0);
  await endsAfter(IDLE_MS, response);
  expect(await gw.outcome()).toEqual({ kind: 'deadline', code: 'client-idle' });
  client.destroy();
});
