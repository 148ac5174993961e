// The Worker before it has any state: it says so, and nothing else (I15). Nothing in this file may
// bring it state, because the isolate keeps it.

import { createExecutionContext, runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { EdgeEnv } from '../../edge/env.ts';
import { signTrust, trustDocument } from '../shared/kit.ts';
import worker, { EdgeStore } from './main.ts';
import trustFixture from './trust.json' with { type: 'json' };

const cf = {
  country: 'DE',
  colo: 'FRA',
  latitude: '50.1',
  longitude: '8.7',
  continent: 'EU',
} as unknown as IncomingRequestCfProperties;

const lines = vi.spyOn(console, 'log');
beforeEach(() => void lines.mockImplementation(() => {}));
afterEach(() => void lines.mockClear());

async function expectNothingTold(answer: Response, method = 'GET'): Promise<void> {
  expect(answer.status).toBe(503);
  expect([...answer.headers.keys()].sort()).toEqual([
    'cache-control',
    'content-type',
    'portolan-decision',
    'retry-after',
  ]);
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  expect(answer.headers.get('cache-control')).toBe('no-store');
  expect(answer.headers.get('retry-after')).toMatch(/^[2-6]$/);
  const decision = answer.headers.get('portolan-decision');
  expect(decision).toMatch(/^[0-9a-f]{32}$/);
  const text = await answer.text();
  if (method === 'HEAD') return expect(text).toBe('');
  const problem = { type: 'about:blank', title: 'Service unavailable', status: 503, decision };
  expect(JSON.parse(text)).toEqual(problem);
}

test('the fixture is what the kit signs', async () => {
  expect(trustFixture).toEqual(await signTrust(trustDocument()));
  expect(JSON.parse(env.TRUST)).toEqual(trustFixture);
});

describe('a cold Worker (I15)', () => {
  test.each([
    ['GET', 'https://acme.example/'],
    ['POST', 'https://acme.example/a?b=c'],
    ['HEAD', 'https://acme.example/'],
    ['GET', 'https://nobody.example/'],
    ['GET', 'https://acme.example/.portolan/ingest'],
    ['PUT', 'https://acme.example/.portolan/ingest'],
    ['OPTIONS', 'https://acme.example/.portolan/ingest'],
  ])('%s %s is a 503 that tells nothing else', async (method, url) => {
    await expectNothingTold(await exports.default.fetch(url, { method, cf }), method);
  });

  test('a request without cf is a 503 like any other', async () => {
    await expectNothingTold(await exports.default.fetch('https://acme.example/'));
  });

  test('each refusal has a decision of its own, under which the log has the reason', async () => {
    const answers = [1, 2].map(() => exports.default.fetch('https://acme.example/', { cf }));
    const ids = (await Promise.all(answers)).map(({ headers }) => headers.get('portolan-decision'));
    expect(new Set(ids).size).toBe(2);
    for (const id of ids) expect(lines.mock.calls.join('\n')).toContain(id);
  });

  test('an ingest of a stranger gets a code and nothing else', async () => {
    const url = 'https://acme.example/.portolan/ingest';
    const answer = await exports.default.fetch(url, { method: 'POST', body: '{}', cf });
    expect([answer.status, await answer.text()]).toEqual([403, '{"code":"malformed"}']);
  });
});

const rootless = await signTrust(trustDocument(), ['root r1']);
const strangers = await signTrust(trustDocument(), ['root x1', 'root x2']);

describe.each([
  ['missing', undefined],
  ['empty', ''],
  ['garbage', 'garbage'],
  ['another document', '{"v":1}'],
  ['signed by too few', JSON.stringify(rootless)],
  ['signed by others', JSON.stringify(strangers)],
  ['changed', JSON.stringify({ ...trustFixture, payload: `${trustFixture.payload}A` })],
])('a Worker whose TRUST is %s', (_, text) => {
  const untrusting = { ...env, TRUST: text } as EdgeEnv;

  test.each([
    ['GET', 'https://acme.example/'],
    ['POST', 'https://acme.example/.portolan/ingest'],
  ])('answers %s %s with a 503 that tells nothing else (I15)', async (method, url) => {
    const request = new Request(url, { method, cf });
    await expectNothingTold(await worker.fetch(request, untrusting, createExecutionContext()));
  });

  test('has a store that answers nothing', async () => {
    const stub = env.EDGE_STORE_WEUR.getByName(`untrusting ${_}`);
    await runInDurableObject(stub, async (_instance, state) => {
      const store = new EdgeStore(state, { TRUST: text ?? '' });
      await expect(store.head('weur')).rejects.toThrow('TRUST');
      await expect(store.ingest('weur', '{}')).rejects.toThrow('TRUST');
    });
  });
});
