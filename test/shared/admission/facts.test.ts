// Facts (S1): one form of a path before anything is admitted by it, and a client's network.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { clientNetwork } from '../../../shared/admission/client-network.ts';
import { factsSchema } from '../../../shared/admission/facts.ts';
import { normalisePath } from '../../../shared/admission/path.ts';
import { PATH_BYTES_MAX } from '../../../shared/limits.ts';
import { SEED } from '../forge.ts';

test.each([
  ['/', '/'],
  ['/a/b', '/a/b'],
  ['/a/', '/a/'],
  ["/a;b=1:c@d!$&'()*+,~", "/a;b=1:c@d!$&'()*+,~"],
  ['/%61', '/a'],
  ['/%41%5A%5a%39', '/AZZ9'],
  ['/x%2d%2e%5f%7e', '/x-._~'],
  ['/a%2fb', '/a%2Fb'],
  ['/a%2Fb', '/a%2Fb'],
  ['/a%3fb%23c', '/a%3Fb%23c'],
  ['/caf%c3%a9', '/caf%C3%A9'],
  ['/%20', '/%20'],
  // Decoded once: what is escaped twice stays escaped.
  ['/%25', '/%25'],
  ['/%2541', '/%2541'],
  ['/%252e%252e/x', '/%252e%252e/x'],
  ['/...', '/...'],
  ['/.a', '/.a'],
  ['/a..b/c.', '/a..b/c.'],
])('path %j is %j', (given, normal) => {
  expect(normalisePath(given)).toBe(normal);
  expect(normalisePath(normal)).toBe(normal);
});

test.each([
  ['', 'nothing'],
  ['a', 'no path'],
  ['/a b', 'a space'],
  ['/a\tb', 'a tab'],
  ['/a\nb', 'a line break'],
  ['/a\0b', 'a null'],
  ['/a\x7f', 'a control'],
  ['/é', 'not ASCII'],
  ['/a\\b', 'a backslash'],
  ['/%', 'a broken escape'],
  ['/%4', 'a broken escape'],
  ['/%zz', 'a broken escape'],
  ['/%%41', 'a broken escape'],
  ['/%00', 'an escaped null'],
  ['/%0d%0a', 'an escaped line break'],
  ['/%1f', 'an escaped control'],
  ['/%7f', 'an escaped control'],
  ['/%7F', 'an escaped control'],
  ['/.', 'a dot segment'],
  ['/..', 'a dot segment'],
  ['/a/./b', 'a dot segment'],
  ['/a/../b', 'a dot segment'],
  ['/a/..', 'a dot segment'],
  ['/%2e%2e/a', 'a dot segment, escaped'],
  ['/a/.%2E', 'a dot segment, half escaped'],
  ['/a/%2e', 'a dot segment, escaped'],
])('path %j is refused: %s', (given) => {
  expect(normalisePath(given)).toBe(null);
});

// Attack: servers that decode an escaped slash or backslash before they resolve dots read another
// path than the one that was admitted.
test.each(['/a%2f..%2fb', '/a%2F%2e%2e%2Fb', '/a%2f..', '/a%5cb', '/a%5C..%5Cb'])(
  'path %j is refused: only decoding uncovers what it says',
  (given) => {
    expect(normalisePath(given)).toBe(null);
  },
);

test('a path of 8 KiB is taken, a byte more is refused', () => {
  expect(PATH_BYTES_MAX).toBe(8 * 1024);
  expect(normalisePath(`/${'a'.repeat(PATH_BYTES_MAX - 1)}`)?.length).toBe(PATH_BYTES_MAX);
  expect(normalisePath(`/${'a'.repeat(PATH_BYTES_MAX)}`)).toBe(null);
});

const piece = fc.constantFrom(
  '/',
  'a',
  'Z',
  '.',
  '..',
  '%',
  '2',
  'e',
  'E',
  '5',
  'f',
  '%2',
  '%25',
  '%2f',
  '~',
);
const paths = fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`);

test('law: a normal path is its own normal form', () => {
  fc.assert(
    fc.property(paths, (path) => {
      const normal = normalisePath(path);
      if (normal !== null) expect(normalisePath(normal)).toBe(normal);
    }),
    { seed: SEED, numRuns: 2_000 },
  );
});

test('law: whether a character that needs none is escaped makes no difference', () => {
  const plain = fc.stringMatching(/^(?:\/[A-Za-z0-9._~-]{1,6}){1,4}$/);
  fc.assert(
    fc.property(plain, fc.infiniteStream(fc.nat(3)), (path, dice) => {
      const escaped = [...path].map((char) => {
        const style = char === '/' ? 0 : (dice.next().value ?? 0);
        const hex = char.charCodeAt(0).toString(16);
        return style === 1 ? `%${hex}` : style === 2 ? `%${hex.toUpperCase()}` : char;
      });
      expect(normalisePath(escaped.join(''))).toBe(normalisePath(path));
    }),
    { seed: SEED, numRuns: 500 },
  );
});

test('law: no normal path holds what two servers could read in two ways', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 20 }), (text) => {
      const normal = normalisePath(`/${text}`);
      if (normal === null) return;
      expect(normal).toMatch(/^\/[!-~]*$/);
      expect(normal).not.toMatch(/\\|%[a-f]|%.[a-f]|\/\.{1,2}(?:\/|$)/);
    }),
    { seed: SEED, numRuns: 500 },
  );
});

test.each([
  ['203.0.113.7', '203.0.113.0/24'],
  ['203.0.113.255', '203.0.113.0/24'],
  ['0.0.0.0', '0.0.0.0/24'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1::/48'],
  ['2001:db8:1::6', '2001:db8:1::/48'],
  ['2001:0DB8:0001:0000::1', '2001:db8:1::/48'],
  ['2001:db8::1', '2001:db8:0::/48'],
  ['2001::', '2001:0:0::/48'],
  ['::1', '0:0:0::/48'],
  ['::', '0:0:0::/48'],
  ['', ''],
  ['unknown', ''],
  ['1.2.3', ''],
  ['1.2.3.4.5', ''],
  ['1.2.3.x', ''],
  ['fe80::1%eth0', ''],
  ['[::1]', ''],
  [`${'1:'.repeat(30)}1`, ''],
])('the network of %j is %j', (address, network) => {
  expect(clientNetwork(address)).toBe(network);
});

test('what only looks like an address is unknown', () => {
  const looks = [
    '1.2.3.4:80',
    '1::2::3',
    '1:2',
    ':::',
    '999.1.1.1',
    '12345::1',
    '1:2:3:4:5:6:7:8:9',
  ];
  expect(looks.map(clientNetwork)).toEqual(looks.map(() => ''));
});

// A listener for both families names IPv4 clients so; one network for all of them would be a herd.
test('an IPv4 address in IPv6 form is in the network of the address', () => {
  expect(clientNetwork('::ffff:203.0.113.7')).toBe('203.0.113.0/24');
});

const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));

test('law: however an IPv6 address is written, its network is the same', () => {
  fc.assert(
    fc.property(fc.tuple(...Array.from({ length: 8 }, () => group)), fc.nat(7), (groups, at) => {
      const full = groups
        .map((one) => one.toString(16).padStart(4, '0'))
        .join(':')
        .toUpperCase();
      const short = groups.map((one) => one.toString(16));
      const network = `${short.slice(0, 3).join(':')}::/48`;
      expect(clientNetwork(full)).toBe(network);
      expect(clientNetwork(short.join(':'))).toBe(network);
      let end = at;
      while (groups[end] === 0) end++;
      if (end === at) return;
      const squeezed = `${short.slice(0, at).join(':')}::${short.slice(end).join(':')}`;
      expect([squeezed, clientNetwork(squeezed)]).toEqual([squeezed, network]);
    }),
    { seed: SEED, numRuns: 500 },
  );
});

const FACTS = { host: 'acme.example', method: 'GET', path: '/', upgrade: false, client: '' };

test('facts without the client’s place are facts', () => {
  expect(factsSchema.safeParse(FACTS).success).toBe(true);
  const placed = { ...FACTS, country: 'DE', colo: 'fra', at: [50, 8] };
  expect(factsSchema.safeParse(placed).success).toBe(true);
});

test.each([
  { method: 'get' },
  { method: '' },
  { method: 'GET ' },
  { method: 'A'.repeat(17) },
  { path: 'a' },
  { path: `/${'a'.repeat(PATH_BYTES_MAX)}` },
  { host: 'a'.repeat(256) },
  { client: 'a'.repeat(65) },
  { upgrade: 'websocket' },
  { country: undefined },
  { at: [50] },
  { at: null },
  { header: 'x' },
])('facts with %j are refused', (changes) => {
  expect(factsSchema.safeParse({ ...FACTS, ...changes }).success).toBe(false);
});
