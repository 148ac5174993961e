// What is read of a request (S1): exactly what Cloudflare said, or nothing.

import { describe, expect, test } from 'vitest';
import { readFacts, readPlace } from '../../edge/admission/facts.ts';
import { PATH_BYTES_MAX } from '../../shared/limits.ts';

const WHOLE = { country: 'DE', colo: 'FRA', latitude: '50.1', longitude: '8.7', continent: 'EU' };

interface Asked {
  readonly url?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Whatever the platform says; `null` stands for a request without `cf`. */
  readonly cf?: unknown;
}

/** A request object as workerd makes it of raw bytes; no parser of ours has seen the URL before. */
function read({ url = 'https://acme.example/a', method = 'GET', headers = {}, cf = WHOLE }: Asked) {
  const request = { url, method, headers: new Headers(headers), ...(cf === null ? {} : { cf }) };
  return readFacts(request as unknown as Request);
}

function factsOf(asked: Asked) {
  const outcome = read(asked);
  if (outcome.kind !== 'facts') throw new Error(outcome.code);
  return outcome.facts;
}

describe('cf', () => {
  test('whole', () => {
    expect(read({})).toEqual({
      kind: 'facts',
      facts: {
        host: 'acme.example',
        method: 'GET',
        path: '/a',
        upgrade: false,
        client: '',
        country: 'DE',
        colo: 'fra',
        at: [50.1, 8.7],
      },
    });
  });

  const bare = { host: 'acme.example', method: 'GET', path: '/a', upgrade: false, client: '' };

  test.each([
    ['missing', null],
    ['null', null],
    ['empty', {}],
    ['of empty texts', { country: '', colo: '', latitude: '', longitude: '', continent: '' }],
    ['of nulls', { country: null, colo: null, latitude: null, longitude: null }],
    ['of numbers', { country: 49, colo: 7, latitude: 50.1, longitude: 8.7 }],
    ['of objects', { country: {}, colo: [], latitude: ['50.1'], longitude: { a: 1 } }],
    ['without what we read', { asn: 64500, city: 'Frankfurt', timezone: 'Europe/Berlin' }],
  ])('%s says nothing, so nothing is known', (_, cf) => {
    expect(factsOf({ cf })).toEqual(bare);
  });

  test.each([
    ['XX', undefined],
    ['T1', undefined],
    [undefined, undefined],
    ['', undefined],
    ['DE', 'DE'],
    ['AQ', 'AQ'],
  ])('country %s is %s', (country, known) => {
    expect(factsOf({ cf: { ...WHOLE, country } }).country).toBe(known);
  });

  test.each([
    ['0', '0', [0, 0]],
    ['-90', '180', [-90, 180]],
    ['90', '-180', [90, -180]],
    ['90.0001', '0', undefined],
    ['0', '180.0001', undefined],
    ['-91', '0', undefined],
    ['50.1', undefined, undefined],
    [undefined, '8.7', undefined],
    ['50.1', '', undefined],
    ['', '', undefined],
    [' ', ' ', undefined],
    ['50.1', 'east', undefined],
    ['NaN', '8.7', undefined],
    ['Infinity', '8.7', undefined],
    ['50,1', '8.7', undefined],
    [50.1, 8.7, undefined],
  ])('latitude %o and longitude %o are %o', (latitude, longitude, at) => {
    expect(factsOf({ cf: { ...WHOLE, latitude, longitude } }).at).toEqual(at);
  });
});

describe('the place that orders the stores (E1)', () => {
  const placeOf = (cf: unknown) => readPlace({ cf } as unknown as Request);

  test.each([
    ['whole', WHOLE, { continent: 'EU', colo: 'fra' }],
    ['of a continent alone', { continent: 'EU' }, { continent: 'EU' }],
    ['missing', undefined, {}],
    ['null', null, {}],
    ['of empty texts', { colo: '', continent: '' }, {}],
    ['of other types', { colo: 7, continent: {} }, {}],
  ])('cf %s', (_, cf, place) => {
    expect(placeOf(cf)).toEqual(place);
  });

  test('the continent is no fact of a decision', () => {
    expect(factsOf({ cf: { continent: 'EU' } })).not.toHaveProperty('continent');
  });
});

describe('the client network (S4)', () => {
  test.each([
    ['192.0.2.77', '192.0.2.0/24'],
    ['192.0.2.1', '192.0.2.0/24'],
    ['2001:db8:1:2::3', '2001:db8:1::/48'],
    ['2001:DB8:1:ffff:0:0:0:1', '2001:db8:1::/48'],
    ['2001:db8::1', '2001:db8:0::/48'],
    ['::1', '0:0:0::/48'],
    ['2001:0db8:0001::', '2001:db8:1::/48'],
    ['', ''],
    ['unknown', ''],
    ['192.0.2', ''],
    ['192.0.2.1, 198.51.100.1', ''],
    [`${'1:'.repeat(40)}`, ''],
  ])('of %o is %o', (address, network) => {
    expect(factsOf({ headers: { 'cf-connecting-ip': address } }).client).toBe(network);
  });

  test('is not what a client may write elsewhere', () => {
    const headers = { 'x-forwarded-for': '192.0.2.1', 'x-real-ip': '192.0.2.1' };
    expect(factsOf({ headers }).client).toBe('');
  });
});

describe('host, method, path', () => {
  test.each([
    ['https://ACME.Example/', 'acme.example'],
    ['https://acme.example:8443/', 'acme.example'],
    ['http://acme.example/', 'acme.example'],
    ['https://user:pw@acme.example/', 'acme.example'],
    ['https://bücher.example/', 'xn--bcher-kva.example'],
  ])('the host of %s is %s', (url, host) => {
    expect(factsOf({ url }).host).toBe(host);
  });

  test.each([
    ['/', '/'],
    ['/a/../b', '/b'],
    ['/%61%7e%2D', '/a~-'],
    ['/%c3%a9', '/%C3%A9'],
    ['/a%2fb', '/a%2Fb'],
    ['/a//b', '/a//b'],
    ['//elsewhere.example/a', '//elsewhere.example/a'],
    ['/a;b=c/@d', '/a;b=c/@d'],
    ['/%252e%252e/', '/%252e%252e/'],
  ])('the path of %s is %s', (path, normal) => {
    expect(factsOf({ url: `https://acme.example${path}` }).path).toBe(normal);
  });

  test.each([
    ['/a%00b'],
    ['/a%0d%0aset-cookie:x'],
    ['/a%1f'],
    ['/a%7f'],
    ['/a%'],
    ['/a%2'],
    ['/a%zz'],
  ])('a path like %s is refused', (path) => {
    expect(read({ url: `https://acme.example${path}` })).toEqual({
      kind: 'malformed',
      code: 'path-malformed',
    });
  });

  test('a path of PATH_BYTES_MAX is taken, one more is refused', () => {
    const url = `https://acme.example/${'a'.repeat(PATH_BYTES_MAX - 1)}`;
    expect(read({ url }).kind).toBe('facts');
    expect(read({ url: `${url}a` })).toMatchObject({ code: 'path-malformed' });
  });

  test('a query is no fact, however long', () => {
    expect(factsOf({ url: `https://acme.example/a?${'q'.repeat(10_000)}` }).path).toBe('/a');
  });

  test.each(['get', 'M-SEARCH', 'A'.repeat(17), '', 'GÉT'])('a method %o is refused', (method) => {
    expect(read({ method })).toEqual({ kind: 'malformed', code: 'request-malformed' });
  });

  test('a host over 255 characters is refused', () => {
    const host = `${`${'a'.repeat(60)}.`.repeat(5)}example`;
    expect(read({ url: `https://${host}/` })).toMatchObject({ code: 'request-malformed' });
  });

  test.each([
    [{ upgrade: 'websocket' }, true],
    [{ Upgrade: 'h2c' }, true],
    [{ connection: 'upgrade' }, false],
    [{ 'upgrade-insecure-requests': '1' }, false],
  ])('headers %o ask for an upgrade: %s', (headers, upgrade) => {
    expect(factsOf({ headers: headers as Record<string, string> }).upgrade).toBe(upgrade);
  });
});
