// A signed request: for one question, by who may read, for half a minute.

import { describe, expect, test } from 'vitest';
import { encodeBase64url } from '../../../shared/base64url.ts';
import { canonicalBytes, utf8 } from '../../../shared/canonical.ts';
import { signJws } from '../../../shared/control/jws.ts';
import { openRequest, type SeenRequest, signRequest } from '../../../shared/control/request.ts';
import { digestBytes } from '../../../shared/digest.ts';
import {
  CLOCK_SKEW_MS,
  REQUEST_HEADER_CHARS_MAX,
  REQUEST_LIFE_MS,
  REQUEST_TARGET_CHARS_MAX,
} from '../../../shared/limits.ts';
import { agentKey, crypto, keyNamed, testTrust } from '../kit.ts';

const NOW_MS = 1_795_000_000_000;
const trust = await testTrust();
const QUESTION = { method: 'GET', target: '/v1/history?limit=2', body: utf8('') } as const;

function signed(
  question: SeenRequest & { readonly method: 'GET' | 'POST' } = QUESTION,
  key = keyNamed('alice'),
  atMs = NOW_MS,
  cluster = 'demo',
): Promise<string> {
  return signRequest(question, { cluster, atMs }, key, crypto);
}

async function opened(header: string, seen: SeenRequest = QUESTION, nowMs = NOW_MS) {
  const who = await openRequest(header, seen, { trust, nowMs }, crypto);
  return 'code' in who ? who.code : `${who.kind} ${who.name}`;
}

/** A header over a document of our own making. */
async function forged(document: object, typ = 'portolan-request+json', keys = ['alice']) {
  const jws = await signJws(typ as 'portolan-request+json', document, keys.map(keyNamed));
  return `Portolan ${encodeBase64url(canonicalBytes(jws))}`;
}

const DOCUMENT = {
  kind: 'request',
  cluster: 'demo',
  method: 'GET',
  target: QUESTION.target,
  at: NOW_MS,
};

describe('who may read', () => {
  test('operators and agents, and the header says who', async () => {
    expect(await opened(await signed())).toBe('operator alice');
    expect(await opened(await signed(QUESTION, agentKey('us1')))).toBe('agent us1-1');
    expect(await opened(await forged(DOCUMENT))).toBe('operator alice');
  });

  test.each(['p1', 'shop', 'rec', 'edge', 'root r1', 'nobody'])('%s may not', async (name) => {
    expect(await opened(await signed(QUESTION, keyNamed(name)))).toBe('key-unknown');
  });

  test('two keys on one request are refused', async () => {
    expect(await opened(await forged(DOCUMENT, undefined, ['alice', 'bob']))).toBe('author');
  });
});

describe('what was signed is what is asked', () => {
  const other: readonly (readonly [string, Partial<SeenRequest>])[] = [
    ['another method', { method: 'POST' }],
    ['another path', { target: '/v1/status' }],
    ['another query', { target: '/v1/history?limit=3' }],
    ['a body that was not signed', { body: utf8('{}') }],
  ];
  test.each(other)('%s is refused', async (_, change) => {
    expect(await opened(await signed(), { ...QUESTION, ...change })).toBe('request');
  });

  test('a body is named by its digest; another one, or none, is refused', async () => {
    const question = { method: 'POST', target: '/v1/explain', body: utf8('{"a":1}') } as const;
    const header = await signed(question);
    expect(await opened(header, question)).toBe('operator alice');
    expect(await opened(header, { ...question, body: utf8('{"a":2}') })).toBe('request');
    expect(await opened(header, { ...question, body: utf8('') })).toBe('request');
  });

  test('an empty body is none: a digest of nothing is refused', async () => {
    const bodyDigest = digestBytes(utf8(''), crypto);
    expect(await opened(await forged({ ...DOCUMENT, bodyDigest }))).toBe('request');
  });

  test('another cluster is refused', async () => {
    expect(await opened(await signed(QUESTION, keyNamed('alice'), NOW_MS, 'prod'))).toBe('cluster');
  });
});

describe('when', () => {
  test.each([
    [REQUEST_LIFE_MS, 'operator alice'],
    [REQUEST_LIFE_MS + 1, 'request'],
    [-CLOCK_SKEW_MS, 'operator alice'],
    [-CLOCK_SKEW_MS - 1, 'request'],
  ])('a request that is %i ms old: %s', async (ageMs, expected) => {
    expect(await opened(await signed(), QUESTION, NOW_MS + ageMs)).toBe(expected);
  });
});

describe('the form', () => {
  test('a target just within its bound is taken, one over is not', async () => {
    const within = `/${'a'.repeat(REQUEST_TARGET_CHARS_MAX - 1)}`;
    for (const [target, expected] of [
      [within, 'operator alice'],
      [`${within}a`, 'malformed'],
    ] as const) {
      const question = { ...QUESTION, target };
      expect(await opened(await signed(question), question)).toBe(expected);
    }
  });

  test('the longest lawful request fits the header', async () => {
    const target = `/${'"'.repeat(REQUEST_TARGET_CHARS_MAX - 1)}`;
    const question = { method: 'POST', target, body: utf8('x') } as const;
    const header = await signed(question, keyNamed('alice'), NOW_MS, 'demo');
    expect(header.length).toBeLessThanOrEqual(REQUEST_HEADER_CHARS_MAX);
    expect(await opened(header, question)).toBe('operator alice');
  });

  test('a document of another kind is no request', async () => {
    expect(await opened(await forged(DOCUMENT, 'portolan-join+json'))).toBe('malformed');
    expect(await opened(await forged({ ...DOCUMENT, more: 1 }))).toBe('malformed');
    expect(await opened(await forged({ ...DOCUMENT, method: 'PUT' }))).toBe('malformed');
  });

  test('a signature that was changed does not hold', async () => {
    const jws = await signJws('portolan-request+json', DOCUMENT, [keyNamed('alice')]);
    const [own] = jws.signatures;
    const wrong = await signJws('portolan-request+json', { ...DOCUMENT, at: 1 }, [
      keyNamed('alice'),
    ]);
    const signature = wrong.signatures[0]?.signature ?? '';
    const mixed = { ...jws, signatures: [{ ...own, signature }] };
    const header = `Portolan ${encodeBase64url(canonicalBytes(mixed))}`;
    expect(await opened(header)).toBe('signature');
  });

  test('garbage is malformed', async () => {
    const good = await signed();
    const garbage = [
      '',
      'Portolan',
      'Portolan ',
      'Bearer abc',
      good.replace('Portolan', 'portolan'),
      `${good}=`,
      `${good} x`,
      good.replace(' ', '  '),
      `Portolan ${encodeBase64url(utf8('{"payload": ""}'))}`,
      `Portolan ${encodeBase64url(utf8('null'))}`,
      `Portolan ${'A'.repeat(REQUEST_HEADER_CHARS_MAX)}`,
    ];
    for (const header of garbage) {
      expect([header, await opened(header)]).toEqual([header, 'malformed']);
    }
  });
});
