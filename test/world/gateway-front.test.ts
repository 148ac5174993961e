import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { GatewayFront } from './gateway-front.ts';
import { writeTls } from './tls.ts';

let folder: string;
let gateway: Server;
let front: GatewayFront;
let dispatcher: Agent;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'portolan-front-'));
  const tls = await writeTls(folder);
  const pems = { cert: await readFile(tls.cert), key: await readFile(tls.key) };
  gateway = createServer(pems, (asked, answer) => {
    const words = { 'portolan-attestations': 'words', 'x-asked': `${asked.headers['x-own']}` };
    answer.writeHead(asked.method === 'POST' ? 201 : 200, words);
    asked.pipe(answer);
  });
  await new Promise<void>((resolve) => gateway.listen(0, '127.0.0.1', resolve));
  const { port } = gateway.address() as AddressInfo;
  front = await GatewayFront.start(`https://127.0.0.1:${port}`, tls);
  dispatcher = new Agent({ connect: { ca: await readFile(tls.ca, 'utf8') } });
});
beforeEach(() => {
  front.passes = 'all';
});
afterAll(async () => {
  await dispatcher.close();
  front.close();
  gateway.close();
  gateway.closeAllConnections();
  await rm(folder, { recursive: true });
});

async function post(path: string) {
  const options = {
    method: 'POST',
    headers: { 'x-own': 'yes' },
    body: 'body',
    dispatcher,
  } as const;
  const { statusCode, headers, body } = await request(`${front.origin}${path}`, options);
  const words = headers['portolan-attestations'];
  return { status: statusCode, asked: headers['x-asked'], words, body: await body.text() };
}

const WHOLE = { status: 201, asked: 'yes', body: 'body' };

test('requests and answers go through as they are', async () => {
  expect(await post('/notes?')).toEqual({ ...WHOLE, words: 'words' });
  expect(await post('/.portolan/head')).toEqual({ ...WHOLE, words: 'words' });
});

test.each(['words', 'nothing'] as const)(
  '%s: state is held back, requests are not',
  async (passes) => {
    front.passes = passes;
    await expect(post('/.portolan/head')).rejects.toThrow();
    const words = passes === 'words' ? 'words' : undefined;
    expect(await post('/notes')).toEqual({ ...WHOLE, words });
  },
);
