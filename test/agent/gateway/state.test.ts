// The gateway as a source of state for edges (E3): what it hands out, to whom; that it verifies.

import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { type RequestOptions, request } from 'node:https';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nodeCrypto } from '../../../agent/adapters/crypto.ts';
import type { Standing } from '../../../agent/control/hold.ts';
import { type Gateway, listenGateway } from '../../../agent/gateway/listen.ts';
import { canonical } from '../../../shared/canonical.ts';
import { readAttestations } from '../../../shared/control/attestation-header.ts';
import { adoptHead, emptyMirror, writeHead } from '../../../shared/control/head.ts';
import { readNode } from '../../../shared/control/merkle-map.ts';
import { digestOf } from '../../../shared/digest.ts';
import { SOFT_AGE_MS, STATE_ANSWERS_MAX } from '../../../shared/limits.ts';
import { type Provenance, writeProvenance } from '../../../shared/provenance/profile.ts';
import { provenanceOf, standingOf } from '../../fakes/standing.ts';
import { commit, FIRST, newHolder, put, testTrust } from '../../shared/kit.ts';
import { LOOPBACK, makeAuthority } from '../../world/certificates.ts';
import { service } from './proxy-rig.ts';

const NOW = 1_790_000_000_000;
const HOST = '127.0.0.1';

const authority = await makeAuthority();
const pems = await authority.issue(LOOPBACK);
const trust = await testTrust();
const held = newHolder(trust);
await commit(held, FIRST);
const active = await standingOf(held, NOW);
await commit(held, [put('global/latency/zrh', { eu1: 1, us1: 2 })]);
const next = await standingOf(held, NOW);
const { manifest } = active.link;

let standing: Standing | null;
let gateway: Gateway;
let arrived: string[];
let nowMs: number;

beforeEach(async () => {
  standing = active;
  arrived = [];
  nowMs = NOW;
  const port = await service((incoming, response) => {
    arrived.push(incoming.url ?? '');
    response.setHeader('portolan-attestations', 'forged');
    response.setHeader('set-cookie', ['a=1', 'b=2']);
    response.end('served');
  });
  gateway = await listenGateway(
    { host: HOST, port: 0, tls: pems, service: `http://${HOST}:${port}`, log: () => {} },
    {
      self: 'eu1',
      standing: () => standing,
      // Waiting takes the time it was given, at once.
      changed: async (ms) => {
        nowMs += ms;
      },
      nowMs: () => nowMs,
      hasher: nodeCrypto,
    },
  );
});
afterEach(() => gateway.close());

interface Got {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

async function ask(path: string, options: RequestOptions = {}, body = ''): Promise<Got> {
  const given = { host: HOST, port: gateway.port, ca: authority.caPem, agent: false, path };
  const outgoing = request({ ...given, ...options });
  outgoing.on('error', () => {}).end(body);
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}

function tenants(says: Partial<Provenance> = {}, more: Record<string, string> = {}) {
  return { headers: { 'portolan-provenance': writeProvenance(provenanceOf(says)), ...more } };
}

describe('an edge without state', () => {
  test('gets the head that stores write, and it verifies', async () => {
    const got = await ask('/.portolan/head');
    expect([got.status, got.body]).toEqual([200, writeHead(active.holder)]);
    expect(got.headers['cloudflare-cdn-cache-control']).toBe('no-store');
    const adopted = await adoptHead(emptyMirror(trust), got.body, NOW, nodeCrypto);
    if (adopted.kind === 'refused') throw new Error(adopted.code);
    expect(adopted.mirror.active?.version).toBe(1n);
    expect(gateway.counts).toEqual({ state: 1 });
    expect(arrived).toEqual([]);
  });

  test('gets each piece on the way to a tenant, as its digest says', async () => {
    const global = await ask(`/.portolan/piece/${manifest.global}`);
    expect(global.body).toBe(canonical(active.global));
    expect(digestOf(JSON.parse(global.body), nodeCrypto)).toBe(manifest.global);
    for (const map of ['hosts', 'tenants'] as const) {
      const { body } = await ask(`/.portolan/piece/${manifest[map]}`);
      expect(readNode(Buffer.from(body), manifest[map], map, nodeCrypto)).not.toHaveProperty(
        'code',
      );
    }
  });

  test('gets what is newer as soon as it stands', async () => {
    await ask('/.portolan/head');
    standing = next;
    const { body } = await ask('/.portolan/head');
    expect(body).toBe(writeHead(next.holder));
    expect((await ask(`/.portolan/piece/${next.link.manifest.global}`)).status).toBe(200);
  });

  // What is active and not yet kept would be undone by a restart (I2).
  test('gets what the gateway itself decides by, though its holder is ahead', async () => {
    standing = { ...active, holder: next.holder };
    const { body } = await ask('/.portolan/head');
    expect(body).toBe(writeHead({ ...next.holder, active: active.link }));
  });

  test.each([
    ['a piece that it does not hold', active, digestOf('else', nodeCrypto), 404],
    ['anything before it stands', null, manifest.global, 503],
  ])('does not get %s', async (_, held, digest, status) => {
    standing = held;
    const got = await ask(`/.portolan/piece/${digest}`);
    expect([got.status, got.body]).toEqual([status, '']);
  });

  test.each(['GET', 'POST'])('%s of another path is a call without provenance', async (method) => {
    for (const path of ['/.portolan/heads', '/.portolan/piece/x', '/.portolan/head?a', '/']) {
      const got = await ask(path, { method });
      expect(JSON.parse(got.body)).toMatchObject({ code: 'provenance-missing' });
    }
    const posted = await ask('/.portolan/head', { method: 'POST' }, 'x');
    expect(JSON.parse(posted.body)).toMatchObject({ code: 'provenance-missing' });
  });
});

test('a tenant’s request for the same path is the tenant’s', async () => {
  const got = await ask('/.portolan/head', tenants());
  expect([got.status, got.body, arrived]).toEqual([200, 'served', ['/.portolan/head']]);
});

test('STATE_ANSWERS_MAX are answered at a time, one more is told to come back', async () => {
  // Bodies larger than the buffers of both ends keep their answers under way.
  const long = `global ${'x'.repeat(8 * 1024 * 1024)}`;
  const nodes = () => ({ map: 'hosts', leaf: [['a', long]] }) as never;
  standing = { ...active, nodes };
  const path = `/.portolan/piece/${digestOf('any', nodeCrypto)}`;
  const answers = await Promise.all(
    Array.from({ length: STATE_ANSWERS_MAX }, async () => {
      const outgoing = request({
        ...{ host: HOST, port: gateway.port, ca: authority.caPem, agent: false, path },
      });
      outgoing.on('error', () => {}).end();
      const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
      return response;
    }),
  );
  const busy = await ask('/.portolan/head');
  expect([busy.status, busy.body]).toEqual([503, '']);
  const [first] = answers;
  first?.destroy();
  await expect.poll(async () => (await ask('/.portolan/head')).status).toBe(200);
  for (const answer of answers) answer.destroy();
});

describe('an edge whose words are old', () => {
  const aged = (ms: number) => tenants({}, { 'portolan-age-ms': `${ms}` });

  test('gets the newest with its answer, just over the soft age and not at it', async () => {
    const [at, over] = [await ask('/', aged(SOFT_AGE_MS)), await ask('/', aged(SOFT_AGE_MS + 1))];
    expect(at.headers['portolan-attestations']).toBeUndefined();
    const words = readAttestations(String(over.headers['portolan-attestations']));
    const latest = [...active.holder.book.latest.values()].map(({ signed }) => signed.jws);
    expect(words).toHaveLength(2);
    expect(words).toEqual(expect.arrayContaining(latest));
    expect(over.headers['set-cookie']).toEqual(['a=1', 'b=2']);
    expect(over.body).toBe('served');
  });

  test('gets them with a refusal too', async () => {
    const got = await ask('/', tenants({ version: 9n }, { 'portolan-age-ms': '9000' }));
    expect(got.status).toBe(503);
    expect(got.headers['portolan-attestations']).toBeDefined();
  });

  test('says so itself: without provenance nothing is added', async () => {
    const got = await ask('/', { headers: { 'portolan-age-ms': '9000' } });
    expect(got.headers['portolan-attestations']).toBeUndefined();
  });
});

test('a service’s own header of that name never leaves the gateway', async () => {
  const got = await ask('/', tenants());
  expect(got.headers['portolan-attestations']).toBeUndefined();
});
