import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type Child, type Children, startGuardian } from './children.ts';
import type { Arrivals } from './service.ts';
import { isAlive, until } from './wait.ts';

// Longer than the deadlines within: what was waited for should be the message on a slow machine.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 });

const SERVICE = fileURLToPath(new URL('./service.ts', import.meta.url));
const ACME = { 'portolan-tenant': 'acme' };

let folder: string;
let children: Children;
let service: Child;
let url: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'portolan-service-'));
  children = await startGuardian(folder);
  await start();
});

afterAll(async () => {
  await children.stopAll();
  rmSync(folder, { recursive: true });
});

test('notes are listed for their tenant only, and survive a restart of the service', async () => {
  const written = await post('/notes', JSON.stringify({ text: 'héllo' }), ACME);
  expect(written.status).toBe(201);
  const { id } = (await written.json()) as { id: string };
  await service.signal('SIGKILL');
  await service.exited;
  await start();
  expect(await notes('acme')).toEqual([{ id, text: 'héllo' }]);
  expect(await notes('globex')).toEqual([]);
});

test('every request but the reading of arrivals is an arrival, in order', async () => {
  const before = await arrivals();
  await fetch(`${url}/notes?q=1`, { headers: { ...ACME, 'portolan-decision': 'd1' } });
  await fetch(`${url}/nowhere`, { method: 'DELETE' });
  const after = await arrivals(before.total);
  expect(after).toMatchObject({ region: 'eu1', total: before.total + 2 });
  expect(after.tenants['acme']).toBe((before.tenants['acme'] ?? 0) + 1);
  const host = new URL(url).host;
  expect(after.arrivals).toEqual([
    {
      n: before.total + 1,
      tenant: 'acme',
      method: 'GET',
      path: '/notes',
      host,
      decision: 'd1',
      atMs: expect.any(Number),
    },
    {
      n: before.total + 2,
      tenant: null,
      method: 'DELETE',
      path: '/nowhere',
      host,
      decision: null,
      atMs: expect.any(Number),
    },
  ]);
});

test('a note of one MiB is taken, one byte more is refused', async () => {
  const text = 'x'.repeat(1024 * 1024 - JSON.stringify({ text: '' }).length);
  expect((await post('/notes', JSON.stringify({ text }), ACME)).status).toBe(201);
  expect((await post('/notes', JSON.stringify({ text: `${text}x` }), ACME)).status).toBe(413);
});

test.each([
  ['no JSON', '{', ACME],
  ['JSON without a text', '{"text": 1}', ACME],
  ['null', 'null', ACME],
  ['no tenant', '{"text": "x"}', {}],
])('a note is refused: %s', async (_, body, headers) => {
  expect((await post('/notes', body, headers)).status).toBe(400);
});

test.each([
  ['\x00\x01 nonsense', 400],
  ['GET /notes HTTP/1.1', 400], // no Host
  ['OPTIONS * HTTP/1.1\r\nHost: a', 404],
  ['GET // HTTP/1.1\r\nHost: a', 404],
  ['GET /% HTTP/1.1\r\nHost: [', 404],
  ['GET http://[/ HTTP/1.1\r\nHost: a', 404],
  ['GET /-/slow?bytes=-1 HTTP/1.1\r\nHost: a', 400],
  ['POST /notes HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz', 400],
])('%j is answered and does not end it', async (head, status) => {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.write(`${head}\r\n\r\n`);
  const [answer] = await once(socket, 'data');
  socket.destroy();
  expect(String(answer)).toMatch(new RegExp(`^HTTP/1\\.1 ${status}`));
  expect((await arrivals()).region).toBe('eu1');
});

test('echo streams back before the request has ended', async () => {
  const { readable, writable } = new TransformStream<string, string>();
  const writer = writable.getWriter();
  const echoed = await Promise.all([
    fetch(`${url}/-/echo`, {
      method: 'POST',
      body: readable.pipeThrough(new TextEncoderStream()),
      duplex: 'half',
    }),
    writer.write('first'),
  ]);
  const reader = echoed[0].body?.pipeThrough(new TextDecoderStream()).getReader();
  expect((await reader?.read())?.value).toBe('first');
  await Promise.all([writer.write('second'), writer.close()]);
  expect((await reader?.read())?.value).toBe('second');
  expect((await reader?.read())?.done).toBe(true);
});

test('a slow response that its client leaves is aborted, one that ends is not', async () => {
  const before = await arrivals();
  const whole = await fetch(`${url}/-/slow?bytes=3000&chunkMs=1`);
  expect((await whole.text()).length).toBe(3000);
  const leaving = new AbortController();
  const left = await fetch(`${url}/-/slow?bytes=1000000&chunkMs=1000`, { signal: leaving.signal });
  expect(left.status).toBe(200);
  leaving.abort();
  const noticed = async () => (await arrivals()).open === 0;
  await until('the service to notice', noticed, { deadlineMs: 5000 });
  expect((await arrivals()).aborted).toBe(before.aborted + 1);
});

test('a service ends when its stdin closes', async () => {
  const other = await startGuardian(folder);
  const own = await other.start(order('us1'));
  process.kill(other.pid, 'SIGKILL'); // a guardian that cannot end it any more
  await until('the service to end', () => !isAlive(own.pid), { deadlineMs: 5000 });
});

async function start(): Promise<void> {
  service = await children.start(order('eu1'));
  url = service.ready['url'] as string;
}

function order(region: string) {
  const args = [SERVICE, region, join(folder, `${region}.sqlite`)];
  return { name: region, command: process.execPath, args };
}

function post(path: string, body: string, headers: Record<string, string>): Promise<Response> {
  return fetch(url + path, { method: 'POST', body, headers });
}

async function notes(tenant: string): Promise<unknown> {
  const response = await fetch(`${url}/notes`, { headers: { 'portolan-tenant': tenant } });
  return ((await response.json()) as { notes: unknown }).notes;
}

async function arrivals(since = 0): Promise<Arrivals> {
  const response = await fetch(`${url}/-/arrivals?since=${since}`);
  return (await response.json()) as Arrivals;
}
