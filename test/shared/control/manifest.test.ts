import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonical, canonicalBytes, utf8 } from '../../../shared/canonical.ts';
import {
  type Manifest,
  manifestDigest,
  RULES,
  readManifest,
} from '../../../shared/control/manifest.ts';
import { type Digest, digestBytes } from '../../../shared/digest.ts';
import { crypto } from '../kit.ts';

const named = (text: string) => digestBytes(utf8(text), crypto);

const MANIFEST: Manifest = {
  kind: 'manifest',
  cluster: 'demo',
  generation: 1n,
  version: 42n,
  lamport: 9_007_199_254_740_993n,
  rules: 1,
  trust: 1n,
  previous: named('previous'),
  global: named('global'),
  usage: named('usage'),
  hosts: named('hosts'),
  tenants: named('tenants'),
  filter: null,
};

function read(bytes: Uint8Array, digest: Digest = digestBytes(bytes, crypto)): string {
  const manifest = readManifest(bytes, digest, crypto);
  return 'code' in manifest ? manifest.code : 'read';
}

const readValue = (value: unknown) => read(canonicalBytes(value));

// A change of these bytes changes the digest of every manifest ever made: it needs new rules (C4).
describe('the format', () => {
  test('a known manifest has this text', () => {
    expect(canonical(MANIFEST)).toBe(
      '{"cluster":"demo","filter":null,"generation":"1",' +
        '"global":"gAHCdDllDFxaa07ZQWO13etEdjYscTgOYT-iDf_871A",' +
        '"hosts":"T4osw5jYZkJ3qWp4Q6tJWKsdCjR8vnwHH94Py1gjB5M",' +
        '"kind":"manifest","lamport":"9007199254740993",' +
        '"previous":"baBjNSjeqgFE57BYMV8LdT7AuUUWOnK_lqDRgYD53g0","rules":1,' +
        '"tenants":"BW4itvcTfcUjZvBpljmOpgeeQGGJ9M01HlhE9f-MH_I",' +
        '"trust":"1","usage":"Ck5MKUMuywG5X4fYf_r_nLTzbOS4n_GhoTatHHOSrgc","version":"42"}',
    );
  });

  test('and this digest', () => {
    expect(manifestDigest(MANIFEST, crypto)).toBe('e4qfveD29bM3JELYZTgXQfAbo3iEeddUTQw_j6DYPfc');
  });

  test('it is read back as it was, the first one without a previous', () => {
    for (const manifest of [MANIFEST, { ...MANIFEST, previous: null }]) {
      const digest = manifestDigest(manifest, crypto);
      expect(readManifest(canonicalBytes(manifest), digest, crypto)).toEqual(manifest);
    }
  });
});

describe('what is refused', () => {
  test('other bytes than the digest names', () => {
    const bytes = canonicalBytes(MANIFEST);
    expect(read(bytes, named('other'))).toBe('digest');
    expect(read(bytes.with(12, 0x44), manifestDigest(MANIFEST, crypto))).toBe('digest');
    expect(read(bytes.slice(1), manifestDigest(MANIFEST, crypto))).toBe('digest');
    expect(read(utf8('no JSON'), manifestDigest(MANIFEST, crypto))).toBe('digest');
  });

  // C4: what this code cannot judge it halts at.
  test.each([RULES - 1, RULES + 1, -1])('rules %i, which this code does not know', (rules) => {
    expect(readValue({ ...MANIFEST, rules })).toBe('rules');
  });

  test.each<readonly [string, object]>([
    ['another kind', { kind: 'trust' }],
    ['a cluster that is no id', { cluster: 'Demo' }],
    ['a version that is a number', { version: 42 }],
    ['a version with a leading zero', { version: '042' }],
    ['a generation below zero', { generation: '-1' }],
    ['a lamport of 20 nines', { lamport: '9'.repeat(20) }],
    ['rules in text', { rules: '1' }],
    ['rules that are no integer', { rules: 1.5 }],
    ['a digest that is short', { hosts: MANIFEST.hosts.slice(1) }],
    ['a digest with padding', { tenants: `${MANIFEST.tenants}=` }],
    ['a digest that is null', { global: null }],
    ['a previous that is empty', { previous: '' }],
    ['a filter, which is not built yet', { filter: named('filter') }],
    ['a field more', { more: 1 }],
  ])('%s', (_, changes) => {
    expect(readValue({ ...MANIFEST, ...changes })).toBe('malformed');
  });

  test.each(Object.keys(MANIFEST))('a manifest without %s', (field) => {
    expect(readValue({ ...MANIFEST, [field]: undefined })).toBe('malformed');
  });

  test.each([
    ['a space', (text: string) => text.replace(':', ': ')],
    ['a duplicate', (text: string) => text.replace('{', '{"cluster":"demo",')],
    ['__proto__', (text: string) => text.replace('{', '{"__proto__":{},')],
    [
      'another order',
      (text: string) => `{"version":"42",${text.slice(1).replace(',"version":"42"', '')}`,
    ],
    ['a newline behind', (text: string) => `${text}\n`],
  ])('%s', (_, change) => {
    expect(read(utf8(change(canonical(MANIFEST))))).toBe('malformed');
  });

  test.each(['null', '[]', '"manifest"', '', '{}'])('%j', (text) => {
    expect(read(utf8(text))).toBe('malformed');
  });
});

test('law: manifests that differ in any field have other digests, and each is read back', () => {
  const counter = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n });
  const digest = fc.constantFrom('a', 'b').map(named);
  const manifest = fc.record({
    generation: counter,
    version: counter,
    lamport: counter,
    previous: fc.option(digest),
    global: digest,
    usage: digest,
    hosts: digest,
    tenants: digest,
  });
  fc.assert(
    fc.property(manifest, manifest, (one, two) => {
      const [a, b]: Manifest[] = [
        { ...MANIFEST, ...one },
        { ...MANIFEST, ...two },
      ];
      if (a === undefined || b === undefined) return;
      const same = canonical(a) === canonical(b);
      expect(manifestDigest(a, crypto) === manifestDigest(b, crypto)).toBe(same);
      expect(readManifest(canonicalBytes(a), manifestDigest(a, crypto), crypto)).toEqual(a);
    }),
    { seed: 1, numRuns: 200 },
  );
});
