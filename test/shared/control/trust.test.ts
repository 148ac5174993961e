import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeBase64url } from '../../../shared/base64url.ts';
import { canonical, utf8, utf8Length } from '../../../shared/canonical.ts';
import { signJws } from '../../../shared/control/jws.ts';
import {
  keyringOf,
  openTrust,
  type Role,
  type TrustDocument,
  trustKind,
} from '../../../shared/control/trust.ts';
import { SITES_MAX, TRUST_BYTES_MAX } from '../../../shared/limits.ts';
import { agentKey, crypto, keyNamed, signTrust, testTrust, trustDocument } from '../kit.ts';
import { headerText, signTexts } from '../raw-jws.ts';

const base = trustDocument();

async function outcome(input: unknown): Promise<string> {
  const trust = await openTrust(input, crypto);
  return 'code' in trust ? trust.code : 'opened';
}

/** Opens what the root keys sign, whether it is a trust document or not. */
async function opened(document: object): Promise<string> {
  const jws = await signJws(trustKind.typ, document, ['root r1', 'root r2'].map(keyNamed));
  return outcome(jws);
}

const changed = (changes: Partial<TrustDocument>) => opened(trustDocument(changes));
const x = (name: string) => keyNamed(name).x;
const agents = (site: string, name = `${site}-1`) => ({ agents: { [name]: agentKey(site).x } });

function sites(count: number): TrustDocument['sites'] {
  const names = Array.from({ length: count }, (_, i) => `s${i}`);
  return Object.fromEntries(names.map((name) => [name, agents(name)]));
}

describe('a good document', () => {
  test('is opened: cluster, threshold, sites in order, every key with its role', async () => {
    const trust = await testTrust();
    expect(trust.document).toEqual(base);
    expect([trust.cluster, trust.threshold, trust.sites]).toEqual([
      'demo',
      2,
      ['eu1', 'us1', 'w1'],
    ]);
    const roles = [...trust.roles.values()].map((role) => `${role.kind} ${role.name}`);
    expect(roles.sort()).toEqual([
      'agent eu1-1',
      'agent us1-1',
      'agent w1-1',
      'approver p1',
      'approver p2',
      'edge edge',
      'operator alice',
      'operator bob',
      'provisioner shop',
      'recovery rec',
      'root r1',
      'root r2',
    ]);
    expect(trust.roles.get(agentKey('eu1').kid)).toEqual({
      kind: 'agent',
      name: 'eu1-1',
      site: 'eu1',
    });
    expect([...trust.keys.keys()].sort()).toEqual([...trust.roles.keys()].sort());
  });

  test('has the digest of its payload, whichever root keys sign', async () => {
    const one = await openTrust(await signTrust(base), crypto);
    const two = await openTrust(await signTrust(base, ['root r2', 'root r1']), crypto);
    expect('digest' in one && 'digest' in two && one.digest === two.digest).toBe(true);
  });

  test('may have one site, no operator, no edge', async () => {
    expect(await changed({ threshold: 1, sites: { eu1: agents('eu1') } })).toBe('opened');
    expect(await changed({ operators: {}, provisioners: {}, edges: {} })).toBe('opened');
  });

  test('may use one name in two roles, with two keys', async () => {
    expect(await changed({ edges: { alice: x('edge alice') } })).toBe('opened');
  });
});

// Attack: one stolen key that counts as two.
describe('a shared key', () => {
  const used = x('alice');

  test.each<readonly [string, Partial<TrustDocument>]>([
    ['under two names of a role', { operators: { alice: used, bob: used } }],
    ['by an approver', { approvers: { threshold: 1, keys: { p1: used } } }],
    ['by a provisioner', { provisioners: { shop: used } }],
    ['by an edge', { edges: { edge: used } }],
    ['by a recovery key', { recovery: { threshold: 1, keys: { rec: used } } }],
    ['by an agent', { sites: { ...base.sites, w1: { agents: { 'w1-1': used } } } }],
    ['by a root key', { operators: { alice: x('root r1') } }],
    ['by two root keys', { root: { threshold: 2, keys: { r1: x('root r1'), r2: x('root r1') } } }],
    ['by agents of two sites', { sites: { ...base.sites, w1: agents('eu1', 'w1-1') } }],
    [
      'by two agents of a site',
      { sites: { ...base.sites, w1: { agents: { a: agentKey('w1').x, b: agentKey('w1').x } } } },
    ],
  ])('used %s is refused', async (_, changes) => {
    expect(await changed(changes)).toBe('trust-shared-key');
  });
});

describe('thresholds', () => {
  test.each([
    [1, 1, 'opened'],
    [2, 1, 'trust-threshold'],
    [2, 2, 'opened'],
    [2, 3, 'trust-threshold'],
    [3, 1, 'trust-threshold'],
    [3, 2, 'opened'],
    [3, 3, 'opened'],
    [3, 4, 'trust-threshold'],
    [4, 2, 'trust-threshold'],
    [4, 3, 'opened'],
    [5, 2, 'trust-threshold'],
    [5, 3, 'opened'],
    [0, 1, 'trust-threshold'],
    [SITES_MAX, SITES_MAX / 2, 'trust-threshold'],
    [SITES_MAX, SITES_MAX / 2 + 1, 'opened'],
    [SITES_MAX + 1, SITES_MAX, 'trust-threshold'],
  ])('of %i sites %i must agree: %s', async (count, threshold, expected) => {
    expect(await changed({ threshold, sites: sites(count) })).toBe(expected);
  });

  test.each([0, -1, 1.5, 2 ** 53, '2', null])(
    'a threshold of %j is malformed',
    async (threshold) => {
      expect(await opened({ ...base, threshold })).toBe('malformed');
      expect(await opened({ ...base, root: { ...base.root, threshold } })).toBe('malformed');
    },
  );

  test.each(['root', 'approvers', 'recovery'] as const)(
    '%s: no more than there are keys',
    async (name) => {
      const { keys } = base[name];
      const count = Object.keys(keys).length;
      expect(await changed({ [name]: { threshold: count + 1, keys } })).toBe('trust-threshold');
      expect(await changed({ [name]: { threshold: count, keys } })).toBe('opened');
      expect(await changed({ [name]: { threshold: 1, keys: {} } })).toBe('trust-threshold');
    },
  );

  test('a site without an agent is refused', async () => {
    expect(await changed({ sites: { ...base.sites, w1: { agents: {} } } })).toBe('trust-threshold');
  });
});

describe('keys', () => {
  // C5, with the cases of keys.test.ts: here, that every place where a key may stand is looked at.
  test.each<readonly [string, (key: string) => Partial<TrustDocument>]>([
    ['root', (key) => ({ root: { threshold: 2, keys: { ...base.root.keys, r3: key } } })],
    ['operator', (key) => ({ operators: { ...base.operators, eve: key } })],
    [
      'approver',
      (key) => ({ approvers: { threshold: 2, keys: { ...base.approvers.keys, p3: key } } }),
    ],
    ['provisioner', (key) => ({ provisioners: { shop: key } })],
    ['recovery', (key) => ({ recovery: { threshold: 1, keys: { rec: key } } })],
    ['edge', (key) => ({ edges: { edge: key } })],
    ['agent', (key) => ({ sites: { ...base.sites, w1: { agents: { 'w1-1': key } } } })],
  ])('of small order, or no key at all, is refused for: %s', async (_, place) => {
    const identity = Uint8Array.fromHex(`01${'00'.repeat(31)}`);
    expect(await changed(place(encodeBase64url(identity)))).toBe('trust-key');
    expect(await changed(place(encodeBase64url(new Uint8Array(31).fill(9))))).toBe('trust-key');
    expect(await changed(place(''))).toBe('trust-key');
    expect(await changed(place(x('honest')))).toBe('opened');
  });
});

describe('signatures', () => {
  const both = ['root r1', 'root r2'];

  test('fewer root keys than the threshold are refused', async () => {
    expect(await outcome(await signTrust(base, ['root r1']))).toBe('trust-signatures');
    expect(await outcome(await signTrust(base, both))).toBe('opened');
  });

  test('one root key that signs twice is not two', async () => {
    expect(await outcome(await signTrust(base, ['root r1', 'root r1']))).toBe('malformed');
  });

  test.each(['alice', 'p1', 'shop', 'rec', 'edge', 'agent eu1-1', 'mallory'])(
    'a signature by %s, no root key, is refused, also beside enough',
    async (name) => {
      expect(await outcome(await signTrust(base, [name]))).toBe('key-unknown');
      expect(await outcome(await signTrust(base, [...both, name]))).toBe('key-unknown');
    },
  );

  // Attack: a document that names its own new keys, signed by nobody else, is told apart by the pin
  // that the caller holds; one that keeps the root and changes the rest needs the root's signature.
  test('a document changed behind its signatures is refused', async () => {
    const signed = await signTrust(base);
    const other = await signTrust(trustDocument({ operators: { mallory: x('mallory') } }), [
      'alice',
    ]);
    expect(await outcome({ ...signed, payload: other.payload })).toBe('signature');
  });

  test('a document of another typ is refused', async () => {
    const signers = both.map(keyNamed);
    expect(await outcome(await signJws('portolan-commit+json', base, signers))).toBe('malformed');
  });
});

describe('the form', () => {
  test.each([
    ['a field that is unknown', { ...base, more: 1 }],
    ['an unknown field deeper', { ...base, root: { ...base.root, more: 1 } }],
    [
      'an unknown field of a site',
      { ...base, sites: { ...base.sites, w1: { ...agents('w1'), more: 1 } } },
    ],
    ['a field that is missing', { ...base, recovery: undefined }],
    ['another kind', { ...base, kind: 'manifest' }],
    ['a version that is a number', { ...base, version: 1 }],
    ['a cluster that is no id', { ...base, cluster: 'Demo' }],
    ['a name that is no id', { ...base, operators: { Alice: x('alice') } }],
    ['a name that every object has', { ...base, operators: { constructor: x('alice') } }],
    ['a site that is no id', { ...base, sites: { ...base.sites, 'x/y': agents('w1') } }],
    ['a key that is no text', { ...base, edges: { edge: 1 } }],
    ['keys in an array', { ...base, operators: [x('alice')] }],
  ])('%s is refused', async (_, document) => {
    expect(await opened(document)).toBe('malformed');
  });

  test('text that is no trust document is refused', async () => {
    for (const input of [null, 'x', {}, { payload: '', signatures: [] }]) {
      expect(await outcome(input)).toBe('malformed');
    }
  });

  // C4: what a consumer cannot judge it refuses, never drops.
  test.each(['operators', 'provisioners', 'edges', 'sites'])(
    'a name __proto__ in %s is refused',
    async (group) => {
      const value = group === 'sites' ? canonical(agents('w1')) : `"${x('mallory')}"`;
      const text = canonical(base).replace(`"${group}":{`, `"${group}":{"__proto__":${value},`);
      const signers = ['root r1', 'root r2'].map(keyNamed);
      const signed = await Promise.all(
        signers.map((signer) => signTexts(headerText(signer.kid, trustKind.typ), text, signer)),
      );
      const signatures = signed.flatMap((jws) => jws.signatures);
      expect(['malformed', 'encoding']).toContain(await outcome({ ...signed[0], signatures }));
    },
  );

  test('the largest document is opened, one byte more is too large', async () => {
    const [most, over] = [documentOf(TRUST_BYTES_MAX), documentOf(TRUST_BYTES_MAX + 1)];
    expect(utf8Length(canonical(most))).toBe(TRUST_BYTES_MAX);
    expect(utf8Length(canonical(over))).toBe(TRUST_BYTES_MAX + 1);
    expect(await opened(most)).toBe('opened');
    expect(await opened(over)).toBe('too-large');
  });
});

/** A document of exactly `bytes`, filled with operators under long names. */
function documentOf(bytes: number): TrustDocument {
  const operators: Record<string, string> = {};
  const besides = '"":"",'.length + x('any').length;
  let left = bytes - utf8Length(canonical(trustDocument({ operators }))) + 1;
  for (let i = 0; left > 0; i++) {
    const most = 63 + besides;
    const entry = left >= 1.5 * most ? most : left > most ? left >> 1 : left;
    const name = `n${i}`.padEnd(entry - besides, 'x');
    operators[name] = encodeBase64url(crypto.sha256(utf8(name)).with(31, 1));
    left -= entry;
  }
  return trustDocument({ operators });
}

describe('keyrings', () => {
  const names: Record<Role['kind'], readonly string[]> = {
    root: ['root r1', 'root r2'],
    operator: ['alice', 'bob'],
    approver: ['p1', 'p2'],
    provisioner: ['shop'],
    recovery: ['rec'],
    edge: ['edge'],
    agent: ['agent eu1-1', 'agent us1-1', 'agent w1-1'],
  };
  const kinds = Object.keys(names) as Role['kind'][];

  test.each(kinds)('the keyring of role %s has its keys and no other', async (kind) => {
    const keyring = keyringOf(await testTrust(), kind);
    for (const other of kinds) {
      for (const name of names[other]) {
        const held = keyring(keyNamed(name).kid);
        expect(held === null ? null : encodeBase64url(held)).toBe(other === kind ? x(name) : null);
      }
    }
    for (const kid of ['', 'constructor', '__proto__', keyNamed('mallory').kid]) {
      expect(keyring(kid)).toBeNull();
    }
  });
});

// Why a majority: two sets that are large enough share a site, so no two versions are active.
test('law: a document is opened if its threshold is a majority, and can be reached', async () => {
  const counts = fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 10 }));
  await fc.assert(
    fc.asyncProperty(counts, async ([count, threshold]) => {
      const disjoint = 2 * threshold <= count;
      const good = !disjoint && threshold <= count;
      const found = await changed({ threshold, sites: sites(count) });
      expect(found).toBe(good ? 'opened' : 'trust-threshold');
    }),
    { seed: 1, numRuns: 60 },
  );
});

test('law: of root signatures exactly those sets are enough that reach the threshold', async () => {
  const all = ['root a', 'root b', 'root c', 'root d'];
  const keys = Object.fromEntries(all.map((name) => [name.replace(' ', '-'), x(name)]));
  const signers = fc.subarray(all, { minLength: 1 });
  await fc.assert(
    fc.asyncProperty(signers, fc.integer({ min: 1, max: 4 }), async (names, threshold) => {
      const document = trustDocument({ root: { threshold, keys } });
      const found = await outcome(await signTrust(document, names));
      expect(found).toBe(names.length >= threshold ? 'opened' : 'trust-signatures');
    }),
    { seed: 2, numRuns: 40 },
  );
});
