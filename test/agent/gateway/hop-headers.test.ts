import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  answerHeaders,
  type GatewayHeaders,
  type RequestHead,
  upstreamHead,
} from '../../../agent/gateway/hop-headers.ts';

const OWN: GatewayHeaders = { host: 'acme.example', headers: { 'portolan-tenant': 'acme' } };

function get(...rawHeaders: readonly string[]): RequestHead {
  return { httpVersion: '1.1', url: '/', rawHeaders: ['Host', 'gw.eu1.example', ...rawHeaders] };
}

/** What the service sees beside the gateway's own. */
function seen(...rawHeaders: readonly string[]): readonly string[] {
  const head = upstreamHead(get(...rawHeaders), OWN);
  if (head.kind === 'refused') throw new Error(head.code);
  expect(head.headers.slice(0, 2)).toEqual(['Host', 'acme.example']);
  expect(head.headers.slice(-2)).toEqual(['portolan-tenant', 'acme']);
  return head.headers.slice(2, -2);
}

test.each([
  ['an ordinary header passes', ['Accept', 'text/html'], ['Accept', 'text/html']],
  [
    'order, case and duplicates stay',
    ['X-b', '1', 'x-A', '2', 'X-B', '3'],
    ['X-b', '1', 'x-A', '2', 'X-B', '3'],
  ],
  ['an empty value stays', ['X-Empty', ''], ['X-Empty', '']],
  ['Connection goes', ['Connection', 'keep-alive'], []],
  [
    'what Connection names goes',
    ['Connection', 'close, X-Hop', 'x-hop', '1', 'X-Hops', '2'],
    ['X-Hops', '2'],
  ],
  [
    'what a second Connection names goes',
    ['Connection', 'a', 'connection', 'B', 'A', '1', 'b', '2'],
    [],
  ],
  [
    'the rest of the connection goes',
    [
      ...['Keep-Alive', 'timeout=5', 'TE', 'trailers', 'Trailer', 'X-Sum', 'Upgrade', 'h2c'],
      ...['HTTP2-Settings', 'AAMA', 'Expect', '100-continue', 'Transfer-Encoding', 'chunked'],
    ],
    [],
  ],
  ['Proxy-* goes', ['Proxy-Authorization', 'Basic eDp5', 'proxy-connection', 'close'], []],
  [
    'platform headers go',
    ['portolan-provenance', 'x', 'Portolan-Tenant', 'evil', 'PORTOLAN-X', '1'],
    [],
  ],
  ['spellings that CGI folds go', ['portolan_tenant', 'evil', 'Transfer_Encoding', 'chunked'], []],
  ['a name that only begins alike passes', ['portolans', '1'], ['portolans', '1']],
  ['a length passes', ['Content-Length', '10'], ['Content-Length', '10']],
  [
    'a length cannot be named away',
    ['Connection', 'content-length', 'Content-Length', '10'],
    ['Content-Length', '10'],
  ],
  [
    'one length said twice is one',
    ['Content-Length', '10', 'content-length', '10'],
    ['Content-Length', '10'],
  ],
])('to the service: %s', (_fact, raw, expected) => {
  expect(seen(...raw)).toEqual(expected);
});

test('Connection cannot name away what the gateway says', () => {
  expect(seen('Connection', 'host, portolan-tenant')).toEqual([]);
});

test("a name that the gateway sets is the gateway's alone", () => {
  const own = { ...OWN, headers: { 'X-Forwarded-Host': 'acme.example' } };
  const head = upstreamHead(get('x-forwarded-host', 'evil', 'X_Forwarded_Host', 'evil'), own);
  expect(head).toMatchObject({
    headers: ['Host', 'acme.example', 'X-Forwarded-Host', 'acme.example'],
  });
});

test.each([
  ['no body', [], false],
  ['an empty body', ['Content-Length', '0'], false],
  ['a length', ['Content-Length', '1'], true],
  ['chunks', ['Transfer-Encoding', 'Chunked'], true],
])('%s is known before it comes', (_fact, raw, hasBody) => {
  expect(upstreamHead(get(...raw), OWN)).toMatchObject({ kind: 'forward', hasBody });
});

test.each([
  ['two lengths', 'framing-conflict', ['Content-Length', '5', 'Content-Length', '6']],
  [
    'two spellings of a length',
    'framing-conflict',
    ['Content-Length', '5', 'Content-Length', '05'],
  ],
  [
    'a length and chunks',
    'framing-conflict',
    ['Content-Length', '5', 'Transfer-Encoding', 'chunked'],
  ],
  [
    'chunks and a length',
    'framing-conflict',
    ['transfer-encoding', 'chunked', 'content-length', '0'],
  ],
  ['a list of lengths', 'content-length', ['Content-Length', '5, 5']],
  ['a signed length', 'content-length', ['Content-Length', '+5']],
  ['a hexadecimal length', 'content-length', ['Content-Length', '0x5']],
  ['an empty length', 'content-length', ['Content-Length', '']],
  ['a length beyond all numbers', 'content-length', ['Content-Length', '9007199254740993']],
  ['a coding that stays', 'transfer-coding', ['Transfer-Encoding', 'gzip, chunked']],
  ['a coding that is none', 'transfer-coding', ['Transfer-Encoding', 'identity']],
  [
    'chunks twice',
    'transfer-coding',
    ['Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked'],
  ],
  ['a coding that looks like chunks', 'transfer-coding', ['Transfer-Encoding', 'xchunked']],
  ['two hosts', 'host-duplicate', ['Host', 'evil.example']],
])('%s are refused', (_fact, code, raw) => {
  expect(upstreamHead(get(...raw), OWN)).toEqual({ kind: 'refused', code });
});

test.each([
  ['a target that names a host', { url: 'http://evil.example/' }, 'target-form'],
  ['a target that is no path', { url: '*' }, 'target-form'],
  ['no target', { url: undefined }, 'target-form'],
  [
    'chunks in HTTP/1.0',
    { httpVersion: '1.0', rawHeaders: ['Transfer-Encoding', 'chunked'] },
    'framing-conflict',
  ],
])('%s is refused', (_fact, change, code) => {
  expect(upstreamHead({ ...get(), ...change }, OWN)).toEqual({ kind: 'refused', code });
});

const NO_STORE = ['Cloudflare-CDN-Cache-Control', 'no-store'];

test.each([
  [
    'cookies stay apart',
    200,
    ['Set-Cookie', 'a=1', 'set-cookie', 'b=2'],
    ['Set-Cookie', 'a=1', 'set-cookie', 'b=2'],
  ],
  [
    'the connection stays behind',
    200,
    ['Connection', 'X-Hop', 'X-Hop', '1', 'Transfer-Encoding', 'chunked'],
    [],
  ],
  [
    'a service sets no platform header',
    200,
    ['Portolan-Attestations', 'forged', 'portolan_x', '1'],
    [],
  ],
  [
    'a service cannot ask the zone to keep it',
    200,
    ['cloudflare-cdn-cache-control', 'max-age=9'],
    [],
  ],
  ['a length stays', 304, ['Content-Length', '5'], ['Content-Length', '5']],
  ['a 204 has no length', 204, ['Content-Length', '5'], []],
])('to the client: %s', (_fact, status, raw, expected) => {
  expect(answerHeaders(status, raw)).toEqual([...expected, ...NO_STORE]);
});

const name = fc.constantFrom(
  ...['accept', 'X-One', 'x-two', 'Connection', 'portolan-tenant', 'Portolan_Tenant', 'Keep-Alive'],
  ...['Proxy-X', 'TE', 'Upgrade', 'cookie', 'Cloudflare-CDN-Cache-Control'],
);
const value = fc.constantFrom('x-two', 'accept, x-one', '1', '');
const rawHeaders = fc.array(fc.tuple(name, value)).map((pairs) => pairs.flat());

test('what passes is a part of what came, in order, and passes again unchanged', () => {
  fc.assert(
    fc.property(rawHeaders, (raw) => {
      const once = seen(...raw);
      expect(isPartOf(pairs(once), pairs(raw))).toBe(true);
      expect(seen(...once)).toEqual(once);
      const answer = answerHeaders(200, raw);
      expect(answerHeaders(200, answer)).toEqual(answer);
    }),
  );
});

function pairs(raw: readonly string[]): readonly string[] {
  return raw.flatMap((item, at) => (at % 2 === 0 ? [`${item}: ${raw[at + 1]}`] : []));
}

function isPartOf(part: readonly string[], whole: readonly string[]): boolean {
  let at = 0;
  for (const item of whole) if (item === part[at]) at += 1;
  return at === part.length;
}
