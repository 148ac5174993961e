// The edge's host against stand-in Workers: what locations share, what they do not, and what can be
// altered from outside.

import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { LOOPBACK, makeAuthority } from './certificates.ts';
import { type Child, type Children, startGuardian } from './children.ts';
import { cities } from './cities.ts';
import { type CacheEntry, type EdgeHostInput, STORES } from './edge-host.ts';
import { type ClientRequest, closeTraffic, send } from './traffic.ts';
import { until } from './wait.ts';

// Longer than the deadlines within: what was waited for should be the message on a slow machine.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 });

const HOST = fileURLToPath(new URL('./edge-host.ts', import.meta.url));

/** An object that remembers in memory what it read from its rows when it was constructed. */
const STORE = `
import { DurableObject } from 'cloudflare:workers';
export class EdgeStore extends DurableObject {
  constructor(state, env) {
    super(state, env);
    this.sql = state.storage.sql;
    this.sql.exec('create table if not exists kept (value text)');
    this.remembered = this.row();
  }
  row() { return this.sql.exec('select value from kept').toArray()[0]?.value ?? null; }
  write(value) {
    this.sql.exec('delete from kept');
    this.sql.exec('insert into kept values (?)', value);
  }
  read() { return { row: this.row(), remembered: this.remembered, trust: this.env.TRUST }; }
}
export default { fetch: () => new Response(null, { status: 404 }) };
`;

const EDGE = `
const KEY = 'https://portolan.internal/state';
export default {
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    const store = searchParams.get('store') ?? 'weur';
    const object = () => env['EDGE_STORE_' + store.toUpperCase()].getByName(store);
    switch (pathname) {
      case '/write':
        await object().write(searchParams.get('value'));
        return new Response();
      case '/read':
        return Response.json(await object().read());
      case '/cache/put':
        await caches.default.put(KEY, new Response(searchParams.get('value'),
          { headers: { 'cache-control': 'max-age=60' } }));
        return new Response();
      case '/cache/get':
        return new Response(await (await caches.default.match(KEY))?.text() ?? 'nothing');
      case '/fetch':
        return fetch(searchParams.get('url'))
          .catch((error) => new Response(error.message, { status: 502 }));
      case '/log':
        console.log(JSON.stringify({ event: 'seen' }));
        console.warn('plain', 'words');
        return new Response();
      case '/throw':
        throw new Error('a bug');
      default:
        return Response.json({
          url: request.url, cf: request.cf, headers: Object.fromEntries(request.headers),
          body: await request.text(), vars: { LOCATION: env.LOCATION, TABLE: env.TABLE },
        });
    }
  },
};
`;

let folder: string;
let children: Children;
let host: Child;
let edges: Readonly<Record<'fra' | 'ewr', string>>;
let trusted: Server;
let untrusted: Server;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'portolan-edge-'));
  const [ours, other] = await Promise.all([makeAuthority(), makeAuthority()]);
  writeFileSync(join(folder, 'ca.pem'), ours.caPem);
  trusted = await serve(await ours.issue(LOOPBACK));
  untrusted = await serve(await other.issue(LOOPBACK));
  const input: EdgeHostInput = {
    locations: [
      { id: 'fra', vars: { LOCATION: 'fra', TABLE: { FRA: ['weur', 'enam'] } } },
      { id: 'ewr', vars: { LOCATION: 'ewr' } },
    ],
    storeVars: { TRUST: 'document 1' },
    bundles: { edge: bundle('edge', EDGE), store: bundle('store', STORE) },
    folder: join(folder, 'edge'),
    caFile: join(folder, 'ca.pem'),
  };
  writeFileSync(join(folder, 'edge-host.json'), JSON.stringify(input));
  children = await startGuardian(folder);
  host = await children.start({
    name: 'edge-host',
    command: process.execPath,
    args: [HOST, join(folder, 'edge-host.json')],
    env: { NODE_EXTRA_CA_CERTS: input.caFile },
  });
  edges = host.ready['edges'] as typeof edges;
});

afterAll(async () => {
  await closeTraffic();
  await children.stopAll();
  for (const server of [trusted, untrusted]) server.close();
  rmSync(folder, { recursive: true });
});

test('the Worker sees the tenant’s URL, exactly the city’s cf, the client’s address', async () => {
  for (const city of Object.values(cities)) {
    const seen = await json(edges.fra, {
      host: 'acme.example',
      city,
      path: '/a//b/../%7e?q=1&q=2',
    });
    expect(seen).toMatchObject({
      url: 'https://acme.example/a//%7e?q=1&q=2',
      headers: {
        host: 'acme.example',
        'x-forwarded-proto': 'https',
        'cf-connecting-ip': city.clientIp,
      },
      vars: { LOCATION: 'fra', TABLE: { FRA: ['weur', 'enam'] } },
    });
    expect(seen['cf']).toEqual(city.cf);
  }
});

test('scheme, port, method, headers and body arrive as sent', async () => {
  const seen = await json(edges.ewr, {
    host: 'acme.example:8080',
    city: cities.tokyo,
    scheme: 'http',
    method: 'POST',
    path: '/',
    headers: { 'content-type': 'text/plain', 'x-own': '1', 'cf-connecting-ip': '192.0.2.1' },
    body: 'héllo',
  });
  expect(seen).toMatchObject({
    url: 'http://acme.example:8080/',
    body: 'héllo',
    headers: { 'x-own': '1', 'cf-connecting-ip': cities.tokyo.clientIp },
    vars: { LOCATION: 'ewr' },
  });
});

test('nothing is sent for a client whose cf is not complete', async () => {
  const { timezone: _, ...cf } = cities.paris.cf;
  const city = { ...cities.paris, cf: cf as typeof cities.paris.cf };
  await expect(get(edges.fra, '/', city)).rejects.toThrow('needs a text for timezone');
});

test('two locations share a store’s object, and it has its variables', async () => {
  await get(edges.fra, '/write?value=one');
  expect(JSON.parse(await get(edges.ewr, '/read'))).toMatchObject({
    row: 'one',
    trust: 'document 1',
  });
});

test('each location has its own cache, which can be read and altered from outside', async () => {
  await get(edges.fra, '/cache/put?value=good');
  expect(await get(edges.fra, '/cache/get')).toBe('good');
  expect(await get(edges.ewr, '/cache/get')).toBe('nothing');

  const key = { location: 'fra', url: 'https://portolan.internal/state' };
  const entry = (await host.ask({ cacheGet: key })) as CacheEntry;
  expect(entry).toMatchObject({ status: 200, headers: { 'cache-control': 'max-age=60' } });
  expect(Buffer.from(entry.bodyBase64, 'base64').toString()).toBe('good');
  const bodyBase64 = Buffer.from('poison').toString('base64');
  await host.ask({ cachePut: { ...key, ...entry, bodyBase64 } });
  expect(await get(edges.fra, '/cache/get')).toBe('poison');

  await host.ask({ cachePurge: { location: 'fra' } });
  expect(await get(edges.fra, '/cache/get')).toBe('nothing');
  expect(await host.ask({ cacheGet: key })).toBeNull();
});

test('a row altered on disk is read at once, and remembered only after an eviction', async () => {
  await get(edges.fra, '/write?value=honest');
  await host.ask({ evict: 'weur' });
  expect(JSON.parse(await get(edges.fra, '/read'))).toMatchObject({ remembered: 'honest' });
  await alter('forged');
  expect(JSON.parse(await get(edges.fra, '/read'))).toMatchObject({
    row: 'forged',
    remembered: 'honest',
  });
  await host.ask({ evict: 'weur' });
  expect(JSON.parse(await get(edges.ewr, '/read'))).toMatchObject({ remembered: 'forged' });
});

test('a store that was stopped and altered comes back to locations that ran on', async () => {
  await get(edges.fra, '/write?value=before');
  await host.ask({ stop: 'store-weur' });
  expect((await sent(edges.fra, '/read')).status).toBe(500);
  await alter('meanwhile');
  await host.ask({ start: 'store-weur' });
  const answer = await until(
    'the location to find the stores again',
    async () => {
      const response = await sent(edges.fra, '/read');
      return response.status === 200 && response.body;
    },
    { deadlineMs: 5000 },
  );
  expect(JSON.parse(answer)).toMatchObject({ row: 'meanwhile', remembered: 'meanwhile' });
});

test('each store holds what is its own, and stops alone', async () => {
  for (const store of STORES) await get(edges.fra, `/write?store=${store}&value=${store}`);
  await host.ask({ stop: 'store-enam' });
  expect((await sent(edges.fra, '/read?store=enam')).status).toBe(500);
  for (const store of ['weur', 'apac']) {
    expect(JSON.parse(await get(edges.fra, `/read?store=${store}`))).toMatchObject({ row: store });
  }
  await host.ask({ start: 'store-enam' });
  const back = await until(
    'the location to find the store again',
    async () => {
      const response = await sent(edges.fra, '/read?store=enam');
      return response.status === 200 && response.body;
    },
    { deadlineMs: 5000 },
  );
  expect(JSON.parse(back)).toMatchObject({ row: 'enam' });
});

test('a location loses its way to the stores alone, and finds it again', async () => {
  const reads = async (edge: string) => (await sent(edge, '/read', cities.paris)).status;
  expect(await reads(edges.fra)).toBe(200);
  await host.ask({ cutStores: 'fra' });
  await until('fra reaches none', async () => (await reads(edges.fra)) !== 200, {
    deadlineMs: 10_000,
  });
  expect(await reads(edges.ewr)).toBe(200);
  await host.ask({ healStores: 'fra' });
  await until('fra reaches them again', async () => (await reads(edges.fra)) === 200, {
    deadlineMs: 10_000,
  });
});

test('a store that starts again with another variable has it', async () => {
  await host.ask({ stop: 'store-weur' });
  await host.ask({ start: 'store-weur', vars: { TRUST: 'document 2' } });
  await untilTrust('document 2');
  await host.ask({ stop: 'store-weur' });
  await host.ask({ start: 'store-weur', vars: { TRUST: 'document 1' } });
  await untilTrust('document 1');
});

test('a location stops alone and comes back at its address with its cache', async () => {
  await get(edges.fra, '/cache/put?value=kept');
  await host.ask({ stop: 'fra' });
  await expect(get(edges.fra, '/')).rejects.toThrow();
  expect(await get(edges.ewr, '/cache/get')).toBe('nothing');
  await expect(host.ask({ stop: 'fra' })).rejects.toThrow('fra is stopped');
  expect(await host.ask({ start: 'fra' })).toEqual({ url: edges.fra });
  expect(await get(edges.fra, '/cache/get')).toBe('kept');
});

test('a location trusts the world’s authority and no other', async () => {
  const url = (server: Server) =>
    encodeURIComponent(`https://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  expect(await get(edges.fra, `/fetch?url=${url(trusted)}`)).toBe('gateway');
  expect((await sent(edges.fra, `/fetch?url=${url(untrusted)}`)).status).toBe(502);
});

test('what a Worker prints, and a bug’s stack, is in its location’s log', async () => {
  await get(edges.ewr, '/log');
  expect((await sent(edges.ewr, '/throw')).status).toBe(500);
  const log = join(folder, 'edge', 'ewr.log');
  const lines = await until(
    'three lines',
    () => {
      const found = readFileSync(log, 'utf8').trim().split('\n');
      return found.length >= 3 && found.map((line) => JSON.parse(line));
    },
    { deadlineMs: 5000 },
  );
  expect(lines.slice(0, 3)).toEqual([
    { event: 'seen' },
    { level: 'warn', message: 'plain words' },
    { level: 'info', message: expect.stringMatching(/^uncaught exception.*a bug\n.*worker\.js/) },
  ]);
});

test('commands that make no sense are answered with an error', async () => {
  await expect(host.ask({ start: 'atlantis' })).rejects.toThrow('no location or store atlantis');
  await expect(host.ask({ start: 'ewr' })).rejects.toThrow('ewr is running');
  await expect(host.ask({})).rejects.toThrow('no such command');
});

test('the host refuses to start without the authority in its environment', async () => {
  const order = {
    name: 'bare',
    command: process.execPath,
    args: [HOST, join(folder, 'edge-host.json')],
  };
  await expect(children.start(order)).rejects.toThrow(/NODE_EXTRA_CA_CERTS must be/);
});

async function alter(value: string): Promise<void> {
  const db = new DatabaseSync((await host.ask({ storeFile: 'weur' })) as string);
  expect(db.prepare('update kept set value = ?').run(value).changes).toBe(1);
  db.close();
}

function untilTrust(document: string): Promise<unknown> {
  return until(
    `the store has ${document}`,
    async () => {
      const { status, body } = await sent(edges.fra, '/read');
      return status === 200 && (JSON.parse(body) as { trust: string }).trust === document;
    },
    { deadlineMs: 10_000 },
  );
}

function sent(edge: string, path: string, city = cities.frankfurt) {
  return send(edge, { host: 'acme.example', city, path });
}

async function get(edge: string, path: string, city = cities.frankfurt): Promise<string> {
  const { status, body } = await sent(edge, path, city);
  expect(`${status} ${body}`).toMatch(/^200 /);
  return body;
}

async function json(edge: string, request: ClientRequest): Promise<Record<string, unknown>> {
  return JSON.parse((await send(edge, request)).body) as Record<string, unknown>;
}

function bundle(name: string, contents: string): string {
  const file = join(folder, `${name}.json`);
  const made = {
    mainModule: 'worker.js',
    contents,
    compatibilityDate: '2026-11-01',
    compatibilityFlags: [],
  };
  writeFileSync(file, JSON.stringify(made));
  return file;
}

async function serve(certificate: { cert: string; key: string }): Promise<Server> {
  const server = createServer(certificate, (_, response) => {
    response.setHeader('connection', 'close');
    response.end('gateway');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
