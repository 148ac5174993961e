// Heads (E1, E2): what an isolate takes from a store that it does not trust. It folds nothing, so
// the chain, the authors, the manifests' digests and a threshold of sites are all that it has.

import { expect, test } from 'vitest';
import { toWire } from '../../../shared/canonical.ts';
import type { Envelope } from '../../../shared/control/envelope.ts';
import { emptyMirror, writeHead } from '../../../shared/control/head.ts';
import type { Manifest } from '../../../shared/control/manifest.ts';
import type { Trust } from '../../../shared/control/trust.ts';
import {
  ATTESTATION_LIFE_MS,
  ATTESTATIONS_PER_DELTA_MAX,
  DELTA_BYTES_MAX,
  HEAD_COMMITS_MAX,
} from '../../../shared/limits.ts';
import { alice, bob, codeOf, digestNamed, trustWith, withBrokenSignature } from '../forge.ts';
import {
  adopt,
  adopted,
  attested,
  type Body,
  digestsOf,
  empty,
  forged,
  headOf,
  hear,
  largestChange,
  SECOND,
  scopePut,
  storeAhead,
  storeAt,
  trust,
  versionOf,
} from '../heads.ts';
import {
  agentKey,
  attest,
  commit,
  FIRST,
  keyNamed,
  newHolder,
  receive,
  SITES,
  type SiteName,
  signCommit,
  type TestHolder,
} from '../kit.ts';
import { NOW } from '../words.ts';

test('a head under a threshold of sites is active, as young as their word', async () => {
  const held = await attested(await storeAt(3));
  const mirror = await adopted(empty, writeHead(held.holder), NOW + 500);
  expect(mirror.active).toEqual(held.holder.active);
  expect(mirror.active?.manifest).toEqual(held.holder.state.manifest);
  expect(mirror.freshAtMs).toBe(NOW);
  expect(mirror.chain.at(-1)).toEqual(held.holder.chain.at(-1));
});

test('adopted twice it is taken once', async () => {
  const text = writeHead((await attested(await storeAt(3))).holder);
  const mirror = await adopted(empty, text);
  const again = await adopt(mirror, text);
  if (again.kind === 'refused') throw new Error(again.code);
  expect(digestsOf(again.mirror)).toBe(digestsOf(mirror));
  expect(again.refused).toEqual([]);
});

test('an empty head is taken and says nothing', async () => {
  const mirror = await adopted(empty, writeHead(newHolder(trust).holder));
  expect([mirror.chain, mirror.active]).toEqual([[], null]);
});

test('without a threshold nothing is active, whoever signed the commits (C10)', async () => {
  const mirror = await adopted(empty, writeHead((await attested(await storeAt(3), ['w1'])).holder));
  expect([mirror.chain.length, versionOf(mirror)]).toEqual([3, null]);
});

test('newer commits that no threshold attests are held, not active', async () => {
  const held = await attested(await storeAt(2));
  await commit(held, scopePut('later'));
  await attested(held, ['eu1'], NOW + 1_000);
  const mirror = await adopted(empty, writeHead(held.holder), NOW + 1_000);
  expect([mirror.chain.at(-1)?.version, versionOf(mirror)]).toEqual([3n, 2]);
});

test('attestations that do not hold are counted, and the others are taken', async () => {
  const held = await attested(await storeAt(2));
  const expired = await attest(held, 'eu1', NOW - 20_000);
  const text = headOf(held, (body) => ({
    ...body,
    attestations: [{}, expired, ...body.attestations],
  }));
  const outcome = await adopt(empty, text);
  expect(outcome).toMatchObject({
    kind: 'adopted',
    refused: [{ code: 'malformed' }, { code: 'attestation-expired' }],
  });
});

const withCommit =
  (at: number, change: (one: Body['commits'][number]) => unknown) => (body: Body) => ({
    ...body,
    commits: body.commits.map((one, i) => (i === at ? change(one) : one)),
  });

test.each<readonly [string, (body: Body) => unknown, string]>([
  ['of version 3', (body) => ({ ...body, v: 3 }), 'version-unsupported'],
  ['of version 0', (body) => ({ ...body, v: 0 }), 'version-unsupported'],
  ['without v', ({ v: _, ...body }) => body, 'malformed'],
  ['without commits', ({ commits: _, ...body }) => body, 'malformed'],
  ['without attestations', ({ attestations: _, ...body }) => body, 'malformed'],
  ['null', () => null, 'malformed'],
  ['with a commit that is null', withCommit(1, () => null), 'malformed'],
  ['with a commit that is none', withCommit(1, (one) => ({ ...one, jws: {} })), 'malformed'],
  [
    'with padding',
    withCommit(1, ({ jws, manifest }) => {
      return { manifest, jws: { ...jws, payload: `${jws.payload}=` } };
    }),
    'encoding',
  ],
  ['with a lone surrogate', (body) => ({ ...body, x: '\ud800' }), 'malformed'],
  // What holds the manifest together is its digest in the envelope (C8).
  [
    'with a tampered manifest',
    withCommit(1, ({ jws, manifest }) => {
      return { jws, manifest: { ...Object(manifest), tenants: digestNamed('other') } };
    }),
    'digest',
  ],
  [
    'with a member more in a manifest',
    withCommit(1, ({ jws, manifest }) => {
      return { jws, manifest: { ...Object(manifest), later: 1 } };
    }),
    'digest',
  ],
  ['without a manifest', withCommit(1, ({ jws }) => ({ jws })), 'malformed'],
  ['with null for a manifest', withCommit(1, ({ jws }) => ({ jws, manifest: null })), 'digest'],
  [
    'with another’s manifest',
    ({ commits: [a, b, ...rest], ...body }) => {
      return { ...body, commits: [a, { ...b, manifest: a?.manifest }, ...rest] };
    },
    'digest',
  ],
  [
    'with a broken signature',
    withCommit(2, ({ jws, manifest }) => {
      return { manifest, jws: withBrokenSignature(jws) };
    }),
    'signature',
  ],
  [
    'with a commit left out',
    ({ commits: [a, , c], ...body }) => ({ ...body, commits: [a, c] }),
    'gap',
  ],
  [
    'with a commit twice',
    ({ commits: [a, b], ...body }) => ({ ...body, commits: [a, a, b] }),
    'gap',
  ],
  ['in reverse', ({ commits, ...body }) => ({ ...body, commits: commits.toReversed() }), 'gap'],
])('a head %s is refused, and nothing of it is taken', async (_name, change, code) => {
  const held = await storeAhead(1, 3);
  expect(codeOf(await adopt(empty, headOf(held, change)))).toBe(code);
  const mirror = await adopted(empty, writeHead((await attested(await storeAt(1))).holder));
  const outcome = await adopt(mirror, headOf(held, change));
  expect(codeOf(outcome)).toBe(code);
});

test('members of a next version are passed over (E1: N+1)', async () => {
  const held = await attested(await storeAt(2));
  const later = headOf(held, (body) => ({
    ...body,
    commits: body.commits.map((one) => ({ ...one, later: 1 })),
    later: {},
  }));
  expect(versionOf(await adopted(empty, later))).toBe(2);
});

test('what is not JSON, or nested without end, is malformed', async () => {
  for (const text of ['', '{', '[]', '"head"', '['.repeat(1_000_000)]) {
    expect(codeOf(await adopt(empty, text))).toBe('malformed');
  }
});

test('a head of two chains is refused', async () => {
  const [one, other] = [await storeAt(3), await storeAt(3, 'b')];
  const second = (JSON.parse(writeHead(other.holder)) as Body).commits[2];
  const mixed = headOf(one, (body) => ({
    ...body,
    commits: [...body.commits.slice(0, 2), second],
  }));
  expect(codeOf(await adopt(empty, mixed))).toBe('previous');
});

test.each<readonly [string, Partial<Envelope>, Parameters<typeof forged>[1], string]>([
  ['as it should be', {}, {}, 'adopted'],
  ['for another cluster', { cluster: 'other' }, {}, 'cluster'],
  ['in another’s name', { author: 'bob' }, {}, 'author'],
  ['by another than it says', {}, { signers: [bob] }, 'author'],
  ['by another algorithm', {}, { alg: 'EdDSA' }, 'algorithm'],
  ['by two operators', {}, { signers: [alice, bob] }, 'author'],
  ['by an agent', { author: 'eu1-1' }, { signers: [agentKey('eu1')] }, 'approvals'],
  ['with approvals of an operator’s commit', { approvals: ['yes'] }, {}, 'approvals'],
  ['by an approver', { author: 'p1' }, { signers: [keyNamed('p1')] }, 'key-unknown'],
  ['by a stranger', {}, { signers: [keyNamed('stranger')] }, 'key-unknown'],
  ['that follows another', { previous: digestNamed('other') }, {}, 'previous'],
  ['that leaves a hole', { version: 3n }, { manifest: toWire({ ...SECOND, version: 3n }) }, 'gap'],
  ['of another version than its manifest', { version: 3n }, {}, 'manifest'],
  [
    'under rules that this code does not know',
    {},
    { manifest: toWire({ ...SECOND, rules: 2 }) },
    'rules',
  ],
  ['of a manifest that is none', {}, { manifest: { kind: 'manifest' } }, 'malformed'],
])('a commit %s', async (_name, changes, how, code) => {
  const { text } = await forged(changes, how);
  expect(codeOf(await adopt(empty, text))).toBe(code);
});

// An isolate does not fold; it can still see that the manifest is not of this place in this chain.
test.each<readonly [string, Partial<Manifest>]>([
  ['another version', { version: 7n }],
  ['another cluster', { cluster: 'other' }],
  ['another generation', { generation: 2n }],
  ['another clock', { lamport: 9n }],
  ['another manifest before it', { previous: digestNamed('other') }],
])('a commit that names a manifest of %s is refused', async (_name, changes) => {
  const { text } = await forged({}, { manifest: toWire({ ...SECOND, ...changes }) });
  expect(codeOf(await adopt(empty, text))).not.toBe('adopted');
});

// Attack: rollback, by an old cache entry or a store that was restored from a backup.
test('an older head lowers nothing, and its commits are not taken', async () => {
  const old = writeHead((await attested(await storeAt(1))).holder);
  const mirror = await adopted(empty, writeHead((await attested(await storeAt(3))).holder));
  const after = await adopted(mirror, old, NOW + 1_000);
  expect(versionOf(after)).toBe(3);
  expect(after.chain).toEqual(mirror.chain);
  expect(after.freshAtMs).toBe(mirror.freshAtMs);
});

test('what was active stays so when every word has expired (E5)', async () => {
  const mirror = await adopted(empty, writeHead((await attested(await storeAt(3))).holder));
  const much = NOW + 10 * ATTESTATION_LIFE_MS;
  const after = await adopted(mirror, writeHead(newHolder(trust).holder), much);
  expect([versionOf(after), after.freshAtMs]).toEqual([3, NOW]);
});

// Attack: a second history from version 2 on, signed by an operator, attested by nobody.
test('another commit in the place of the active one is refused', async () => {
  const mirror = await adopted(empty, writeHead((await attested(await storeAt(2))).holder));
  for (const version of [2, 3]) {
    const fork = writeHead((await storeAt(version, 'b')).holder);
    expect(codeOf(await adopt(mirror, fork))).toBe('equivocation');
  }
});

test('commits that do not follow the active one are refused', async () => {
  const mirror = await adopted(empty, writeHead((await attested(await storeAt(2))).holder));
  const fork = headOf(await storeAt(3, 'b'), (body) => ({
    ...body,
    commits: body.commits.slice(2),
  }));
  expect(codeOf(await adopt(mirror, fork))).toBe('previous');
});

test('commits that follow the active one need not carry it', async () => {
  const mirror = await adopted(empty, writeHead((await attested(await storeAt(2))).holder));
  const next = headOf(await attested(await storeAt(3), SITES, NOW + 1_000), (body) => {
    return { ...body, commits: body.commits.slice(-1) };
  });
  const after = await adopted(mirror, next, NOW + 1_000);
  expect([versionOf(after), after.chain.length]).toEqual([3, 2]);
});

test('a fork that nobody attests does not stand in the way of the right chain', async () => {
  const fork = writeHead((await storeAt(4, 'b')).holder);
  const right = writeHead((await attested(await storeAt(3), SITES, NOW + 1_000)).holder);
  expect(versionOf(await adopted(await adopted(empty, fork), right))).toBe(3);
  const first = await adopted(empty, writeHead((await attested(await storeAt(1))).holder));
  const misled = await adopted(first, fork);
  expect(versionOf(misled)).toBe(1);
  expect(versionOf(await adopted(misled, right))).toBe(3);
});

test('a fork that one site attests is not active, and the site counts for none', async () => {
  const [right, fork] = [await attested(await storeAt(3), ['eu1', 'us1']), await storeAt(3, 'b')];
  const mirror = await adopted(empty, writeHead(right.holder));
  const lie = await attest(fork, 'w1', NOW + 1);
  const truth = await attest(right, 'w1', NOW + 2);
  const text = headOf(right, (body) => ({ ...body, attestations: [lie, truth] }));
  const after = await adopted(mirror, text, NOW + 2);
  expect([...after.book.equivocators]).toEqual(['w1']);
  expect(after.active).toEqual(mirror.active);
});

test('a mirror may jump over versions that it never held', async () => {
  const mirror = await adopted(empty, writeHead((await attested(await storeAt(1))).holder));
  const held = await attested(await storeAt(HEAD_COMMITS_MAX + 4), SITES, NOW + 1_000);
  const after = await adopted(mirror, writeHead(held.holder), NOW + 1_000);
  expect(versionOf(after)).toBe(HEAD_COMMITS_MAX + 4);
});

test('a head carries 64 commits and not one more', async () => {
  const held = await storeAt(HEAD_COMMITS_MAX + 1);
  const all = held.holder.chain.map(({ jws, manifest }) => ({ jws, manifest: toWire(manifest) }));
  const full = (count: number) =>
    headOf(held, (body) => ({ ...body, commits: all.slice(0, count) }));
  expect(HEAD_COMMITS_MAX).toBe(64);
  expect(codeOf(await adopt(empty, full(64)))).toBe('adopted');
  expect(codeOf(await adopt(empty, full(65)))).toBe('malformed');
});

test('a head carries 256 attestations and not one more', async () => {
  const held = await storeAt(1);
  const full = (count: number) =>
    headOf(held, (body) => ({ ...body, attestations: Array.from({ length: count }, () => ({})) }));
  expect(codeOf(await adopt(empty, full(ATTESTATIONS_PER_DELTA_MAX)))).toBe('adopted');
  expect(codeOf(await adopt(empty, full(ATTESTATIONS_PER_DELTA_MAX + 1)))).toBe('malformed');
});

test('a head takes 4 MiB and not a byte more', async () => {
  const held = await attested(await storeAt(1));
  const filled = (fill: string) => headOf(held, (body) => ({ ...body, x: fill }));
  const left = DELTA_BYTES_MAX - filled('').length;
  expect(codeOf(await adopt(empty, filled('a'.repeat(left))))).toBe('adopted');
  expect(codeOf(await adopt(empty, filled('a'.repeat(left + 1))))).toBe('too-large');
  expect(codeOf(await adopt(empty, filled('é'.repeat(left / 2 + 1))))).toBe('too-large');
});

// What a store writes, an isolate must be able to take: else nothing is served from it.

/** `count` versions that no site has got to yet, after the one that all attest. */
async function burst(held: TestHolder, count: number): Promise<TestHolder> {
  for (let i = 0; i < count; i++) await commit(held, scopePut(`burst${i}`));
  return held;
}

test.each([HEAD_COMMITS_MAX - 1, HEAD_COMMITS_MAX])(
  'an isolate that starts finds the active commit behind %d that are not active yet',
  async (count) => {
    const held = await burst(await attested(await storeAt(2)), count);
    expect(versionOf(await adopted(empty, writeHead(held.holder)))).toBe(2);
  },
);

test('an isolate stays young while all sites attest what is active, whatever follows', async () => {
  const held = await attested(await storeAt(2));
  const mirror = await adopted(empty, writeHead(held.holder));
  const word = (site: SiteName) => attest(held, site, NOW + 10_000);
  const words = await Promise.all(SITES.map(word));
  await burst(held, HEAD_COMMITS_MAX + 1);
  await hear(held, words, NOW + 10_000);
  const after = await adopted(mirror, writeHead(held.holder), NOW + 10_000);
  expect(after.freshAtMs).toBe(NOW + 10_000);
});

test('the head of a store that took the largest commits is taken', async () => {
  const held = await attested(await storeAt(1));
  for (let round = 0; round < 4; round++) await commit(held, largestChange(round));
  await attested(held, SITES, NOW + 1_000);
  expect(codeOf(await adopt(empty, writeHead(held.holder), NOW + 1_000))).toBe('adopted');
});

test('the head of a store that heard many agents is taken', async () => {
  const names = Array.from({ length: ATTESTATIONS_PER_DELTA_MAX + 1 }, (_, i) => `eu1-${i}`);
  const agents = Object.fromEntries(names.map((name) => [name, keyNamed(`many ${name}`).x]));
  const own = (site: SiteName) => ({ agents: { [`${site}-1`]: agentKey(site).x } });
  const many: Trust = await trustWith({
    sites: { eu1: { agents }, us1: own('us1'), w1: own('w1') },
  });
  const held = newHolder(many);
  await commit(held, FIRST);
  const words = names.map((agent) =>
    attest(held, 'eu1', NOW, { agent }, keyNamed(`many ${agent}`)),
  );
  await hear(held, await Promise.all(words));
  await attested(held, ['us1', 'w1']);
  expect(codeOf(await adopt(emptyMirror(many), writeHead(held.holder)))).toBe('adopted');
});

test('a commit that a store refused is in no head', async () => {
  const held = await attested(await storeAt(2));
  const before = writeHead(held.holder);
  await receive(held, await signCommit(held, scopePut('x'), { author: 'bob' }));
  expect(writeHead(held.holder)).toBe(before);
});
