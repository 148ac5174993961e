// A full holder (C9): bounds and position before a signature is paid for, then the rest; whatever
// is refused changes nothing.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { contradiction } from '../../../shared/control/activation.ts';
import { type Envelope, envelopeKind } from '../../../shared/control/envelope.ts';
import {
  emptyHolder,
  receiveAll,
  screenCommit,
  verifyAttestations,
} from '../../../shared/control/holder.ts';
import type { Jws } from '../../../shared/control/jws.ts';
import { signJws } from '../../../shared/control/jws.ts';
import { CHAIN_LINKS_MAX, COMMIT_BYTES_MAX, NESTING_MAX } from '../../../shared/limits.ts';
import {
  alice,
  bob,
  codeOf,
  digestNamed,
  outcomeOf,
  payloadOf,
  SEED,
  signText,
  withBrokenSignature,
} from '../forge.ts';
import {
  agentKey,
  attest,
  commit,
  crypto,
  FIRST,
  keyNamed,
  newHolder,
  put,
  receive,
  type SiteName,
  signCommit,
  type TestHolder,
  testTrust,
} from '../kit.ts';

const trust = await testTrust();
const NOW = 1_790_000_000_000;

const scopePut = (id: string) => [put(`global/scopes/${id}`, { regions: ['eu1'], ingress: 'any' })];

async function holderOf(...scopes: readonly string[]): Promise<TestHolder> {
  const held = newHolder(trust);
  await commit(held, FIRST);
  for (const id of scopes) await commit(held, scopePut(id));
  return held;
}

test('before the first commit nothing is active, and the name makes the state', () => {
  const { holder } = emptyHolder(trust, crypto);
  expect(holder).toMatchObject({ chain: [], active: null, freshAtMs: 0 });
  expect(holder.state.manifest).toMatchObject({ cluster: 'demo', generation: 1n, version: 0n });
  expect(emptyHolder(trust, crypto).holder.state).toEqual(holder.state);
});

test.each<readonly [string, (jws: Jws) => unknown, string]>([
  ['nothing', () => undefined, 'malformed'],
  ['null', () => null, 'malformed'],
  ['a text', ({ payload }) => payload, 'malformed'],
  ['an array', (jws) => [jws], 'malformed'],
  ['without signatures', (jws) => ({ ...jws, signatures: [] }), 'malformed'],
  ['with a member more', (jws) => ({ ...jws, header: {} }), 'malformed'],
  [
    'signed twice by one key',
    (jws) => ({ ...jws, signatures: [...jws.signatures, ...jws.signatures] }),
    'malformed',
  ],
  ['with padding', (jws) => ({ ...jws, payload: `${jws.payload}=` }), 'encoding'],
  ['cut off', (jws) => ({ ...jws, payload: jws.payload.slice(0, -4) }), 'encoding'],
  ['with white space', (jws) => ({ ...jws, payload: ` ${jws.payload}` }), 'encoding'],
  ['with one bit of the signature changed', withBrokenSignature, 'signature'],
])('a commit that is %s is refused', async (_name, change, code) => {
  const held = await holderOf();
  const jws = await signCommit(held, scopePut('new'));
  expect(await outcomeOf(held, change(jws))).toBe(code);
  expect(await outcomeOf(held, jws)).toBe('taken');
});

test.each<readonly [string, (text: string) => string, string]>([
  ['not JSON', () => '{', 'encoding'],
  ['not canonical: white space', (text) => text.replace(':', ': '), 'encoding'],
  ['not canonical: a member twice', (text) => `{"approvals":[],${text.slice(1)}`, 'encoding'],
  ['not canonical: an escape', (text) => text.replace('"test"', '"\\u0074est"'), 'encoding'],
  // Copied by assignment it would be a prototype: fields that a schema reads and no digest covers.
  [
    'with a member __proto__',
    (text) => text.replace('"ingress"', '"__proto__":{},"ingress"'),
    'encoding',
  ],
  [
    'with all in a member __proto__',
    (text) => text.replace('"value":{', '"value":{"__proto__":{').replace('}}', '}}}'),
    'encoding',
  ],
  ['nested too deep', (text) => deepened(text, NESTING_MAX + 1), 'encoding'],
  ['with a lone surrogate', (text) => text.replace('"test"', '"\\ud800"'), 'encoding'],
  ['with an unknown field', (text) => text.replace('{"app', '{"a":1,"app'), 'malformed'],
  [
    'with a number for a version',
    (text) => text.replace(/"version":"2"/, '"version":2'),
    'malformed',
  ],
  ['without a reason', (text) => text.replace('"test"', '""'), 'malformed'],
  ['another kind', (text) => text.replace('"kind":"commit"', '"kind":"trust"'), 'malformed'],
])('a payload that is %s is refused', async (_name, change, code) => {
  const held = await holderOf();
  const text = payloadOf(await signCommit(held, scopePut('new')));
  const changed = change(text);
  expect(changed).not.toBe(text);
  expect(await outcomeOf(held, await signText(envelopeKind.typ, changed, [alice]))).toBe(code);
});

/** Anything may stand in approvals: brackets inside brackets, `depth` in all. */
function deepened(text: string, depth: number): string {
  const inner = '['.repeat(depth - 1) + ']'.repeat(depth - 1);
  return text.replace('"approvals":[]', `"approvals":${inner}`);
}

test('a payload that is nested as deep as it may be is read', async () => {
  const held = await holderOf();
  const text = deepened(payloadOf(await signCommit(held, scopePut('new'))), NESTING_MAX);
  expect(await outcomeOf(held, await signText(envelopeKind.typ, text, [alice]))).toBe('approvals');
});

test('a commit of another algorithm or another type of document is refused', async () => {
  const held = await holderOf();
  const text = payloadOf(await signCommit(held, scopePut('new')));
  const algorithms = ['none', 'EdDSA', 'HS256', 'ed25519'];
  for (const alg of algorithms) {
    const jws = await signText(envelopeKind.typ, text, [alice], alg);
    expect([alg, await outcomeOf(held, jws)]).toEqual([alg, 'algorithm']);
  }
  const typ = 'portolan-attestation+json';
  expect(await outcomeOf(held, await signText(typ, text, [alice]))).toBe('malformed');
});

test('a commit of 512 KiB is read, a byte more is refused unread', async () => {
  const held = await holderOf();
  const text = payloadOf(await signCommit(held, scopePut('new')));
  const sized = (bytes: number) => {
    const fill = 'x'.repeat(bytes - text.length - 2);
    return signText(envelopeKind.typ, text.replace('"approvals":[]', `"approvals":["${fill}"]`), [
      alice,
    ]);
  };
  expect(payloadOf(await sized(COMMIT_BYTES_MAX)).length).toBe(512 * 1024);
  expect(await outcomeOf(held, await sized(COMMIT_BYTES_MAX))).toBe('approvals');
  expect(await outcomeOf(held, await sized(COMMIT_BYTES_MAX + 1))).toBe('too-large');
});

test.each<readonly [string, Partial<Envelope>, string]>([
  ['another cluster', { cluster: 'other' }, 'cluster'],
  ['another generation', { generation: 2n }, 'generation'],
  ['a hole', { version: 5n }, 'gap'],
  ['another commit before it', { previous: digestNamed('other') }, 'previous'],
  ['no commit before it', { previous: null }, 'previous'],
  ['the place of one that is held', { version: 2n }, 'equivocation'],
  ['the place before the first', { version: 0n }, 'stale'],
])('a commit with %s is refused before its signature is checked', async (_name, changes, code) => {
  const held = await holderOf('a', 'b');
  const jws = await signCommit(held, scopePut('new'), changes);
  expect(await outcomeOf(held, jws)).toBe(code);
  expect(await outcomeOf(held, withBrokenSignature(jws))).toBe(code);
});

test('a commit that is held is known, and known again (C9: idempotent)', async () => {
  const held = await holderOf('a', 'b');
  for (const jws of held.commits) expect(await outcomeOf(held, jws)).toBe('known');
  const { holder } = held;
  for (const jws of held.commits) await receive(held, jws);
  expect(held.holder).toBe(holder);
});

test('a second envelope with equal operations is another commit (INTERFACES)', async () => {
  const [held, other] = [await holderOf(), await holderOf()];
  await commit(held, scopePut('a'));
  const twin = await signCommit(other, scopePut('a'), { opId: 'op-2-other' });
  expect(await outcomeOf(held, twin)).toBe('equivocation');
});

test('the same payload signed by another operator is known, and changes nothing', async () => {
  const held = await holderOf('a');
  const text = payloadOf(held.commits[1] ?? raise());
  expect(await outcomeOf(held, await signText(envelopeKind.typ, text, [bob]))).toBe('known');
});

function raise(): never {
  throw new Error('not there');
}

test('a commit beyond the chain that is kept is stale, whichever it was', async () => {
  const held = await holderOf('a', 'b');
  const [first] = held.commits;
  held.holder = { ...held.holder, chain: held.holder.chain.slice(1) };
  expect(await outcomeOf(held, first)).toBe('stale');
});

test('commits of one delta are placed one after the other', async () => {
  const [held, ahead] = [await holderOf(), await holderOf('a', 'b')];
  const [, a, b] = ahead.commits;
  const place = (jws: unknown, behind: number) =>
    codeOf(screenCommit(held.holder, jws, behind, crypto));
  expect([place(a, 0), place(b, 1)]).toEqual(['new', 'new']);
  expect([place(b, 0), place(a, 1), place(b, 2)]).toEqual(['gap', 'gap', 'gap']);
});

test('law: commits in any order, some twice, lead to one state or are refused', async () => {
  const full = await holderOf('a', 'b', 'c');
  const order = fc.array(fc.constantFrom(...full.commits), { minLength: 4, maxLength: 12 });
  const property = fc.asyncProperty(order, async (arrivals) => {
    const held = newHolder(trust);
    for (const jws of arrivals) {
      const version = held.holder.state.manifest.version;
      const outcome = await outcomeOf(held, jws);
      const place = BigInt(full.commits.indexOf(jws) + 1);
      const expected = place <= version ? 'known' : place === version + 1n ? 'taken' : 'gap';
      expect(outcome).toBe(expected);
    }
    const { version } = held.holder.state.manifest;
    expect(held.holder.chain).toEqual(full.holder.chain.slice(0, Number(version)));
  });
  await fc.assert(property, { seed: SEED, numRuns: 40 });
});

test('the chain is bounded, and lets its oldest go', async () => {
  const held = await holderOf('a');
  const [link] = held.holder.chain;
  if (link === undefined) throw new Error('no link');
  const version = BigInt(CHAIN_LINKS_MAX) + 7n;
  const chain = Array.from({ length: CHAIN_LINKS_MAX }, (_, i) => ({
    ...link,
    version: version - BigInt(CHAIN_LINKS_MAX - 1 - i),
  }));
  const { state } = held.holder;
  held.holder = {
    ...held.holder,
    chain,
    state: { ...state, manifest: { ...state.manifest, version } },
  };
  await commit(held, scopePut('b'));
  expect(held.holder.chain.length).toBe(CHAIN_LINKS_MAX);
  expect(held.holder.chain[0]?.version).toBe(9n);
  expect(held.holder.chain.at(-1)?.version).toBe(version + 1n);
});

async function hear(held: TestHolder, inputs: readonly unknown[], nowMs = NOW) {
  const { verified, refused } = await verifyAttestations(held.holder.book, inputs, trust, crypto);
  const outcome = receiveAll(held.holder, verified, nowMs);
  held.holder = outcome.holder;
  return [...refused, ...outcome.refused].map(({ code }) => code);
}

const hearFrom = async (held: TestHolder, sites: readonly SiteName[], nowMs = NOW) =>
  hear(held, await Promise.all(sites.map((site) => attest(held, site, nowMs))), nowMs);

test('a commit is active once a threshold of sites attests it, and not before (C10)', async () => {
  const held = await holderOf('a');
  expect(await hearFrom(held, ['eu1'])).toEqual([]);
  expect(held.holder.active).toBe(null);
  expect(await hearFrom(held, ['w1'])).toEqual([]);
  expect(held.holder.active).toBe(held.holder.chain[1]);
  expect(held.holder.freshAtMs).toBe(NOW);
});

test('sites that repeat themselves keep the state young (E3)', async () => {
  const held = await holderOf();
  const ages: number[] = [];
  for (let nowMs = NOW; nowMs < NOW + 60_000; nowMs += 2_000) {
    await hearFrom(held, ['eu1', 'us1', 'w1'], nowMs);
    ages.push(nowMs - held.holder.freshAtMs);
  }
  expect(new Set(ages)).toEqual(new Set([0]));
});

test('age grows when a threshold falls silent, though one site goes on (E3)', async () => {
  const held = await holderOf();
  await hearFrom(held, ['eu1', 'us1'], NOW);
  for (let nowMs = NOW + 2_000; nowMs <= NOW + 30_000; nowMs += 2_000) {
    await hearFrom(held, ['eu1'], nowMs);
    expect(held.holder.freshAtMs).toBeLessThanOrEqual(NOW + 2_000);
    expect(held.holder.active).not.toBe(null);
  }
});

test.each<readonly [string, (jws: Jws) => unknown, string]>([
  ['malformed', () => ({}), 'malformed'],
  ['of another encoding', (jws) => ({ ...jws, payload: `${jws.payload}=` }), 'encoding'],
  ['not signed by whom it says', withBrokenSignature, 'signature'],
])('an attestation that is %s is refused, the others are taken', async (_name, change, code) => {
  const held = await holderOf();
  const [a, b] = await Promise.all([attest(held, 'eu1', NOW), attest(held, 'us1', NOW)]);
  expect(await hear(held, [change(a), b])).toEqual([code]);
  expect(held.holder.book.latest.size).toBe(1);
});

test('an attestation by an operator, or by a stranger, is not even heard', async () => {
  const held = await holderOf();
  for (const signer of [alice, keyNamed('p1'), keyNamed('stranger'), keyNamed('edge')]) {
    const jws = await attest(held, 'eu1', NOW, {}, signer);
    expect(await hear(held, [jws])).toEqual(['key-unknown']);
  }
  expect(held.holder.book.latest.size).toBe(0);
});

test('an attestation by another algorithm or of another kind is refused', async () => {
  const held = await holderOf();
  const text = payloadOf(await attest(held, 'eu1', NOW));
  const [typ, own] = ['portolan-attestation+json' as const, [agentKey('eu1')]];
  expect(await hear(held, [await signText(typ, text, own, 'EdDSA')])).toEqual(['algorithm']);
  expect(await hear(held, [await signText(envelopeKind.typ, text, own)])).toEqual(['malformed']);
  expect(await hear(held, [await signText(typ, text, own)])).toEqual([]);
});

test('an attestation of 16 KiB is read, a byte more is refused unread', async () => {
  const held = await holderOf();
  const text = payloadOf(await attest(held, 'eu1', NOW));
  const sized = (bytes: number) => {
    const fill = 'x'.repeat(bytes - text.length - 7);
    return signText('portolan-attestation+json', `{"_":"${fill}",${text.slice(1)}`, [
      agentKey('eu1'),
    ]);
  };
  expect(await hear(held, [await sized(16 * 1024)])).toEqual(['malformed']);
  expect(await hear(held, [await sized(16 * 1024 + 1)])).toEqual(['too-large']);
});

test('an attestation that is held already is passed over, not refused', async () => {
  const held = await holderOf();
  const jws = await attest(held, 'eu1', NOW);
  expect(await hear(held, [jws])).toEqual([]);
  expect(await hear(held, [jws])).toEqual([]);
});

// I16: a stolen site hands stores a commit that an operator signed and that lost its race. Nobody
// attests it; when all others attest the right one in its place, the store can tell.
test('a commit is contradicted once a threshold attests another in its place', async () => {
  const [store, agents] = [await holderOf(), await holderOf()];
  await hearFrom(store, ['eu1', 'us1', 'w1']);
  const lost = await signCommit(store, scopePut('lost'), { author: 'bob' }, bob);
  await receive(store, lost);
  await commit(agents, scopePut('right'));
  const later = NOW + 1_000;
  const told = () => contradiction(store.holder.active, { ...store.holder, nowMs: later });
  await hear(store, [await attest(agents, 'eu1', later)], later);
  expect(told()).toBe(null);
  await hear(store, [await attest(agents, 'us1', later)], later);
  expect(told()).toBe(store.holder.chain[1]);
  expect(codeOf(screenCommit(store.holder, agents.commits[1], 0, crypto))).toBe('equivocation');
});

test('an operator’s word alone moves nothing that is active (C10)', async () => {
  const held = await holderOf();
  await hearFrom(held, ['eu1', 'us1']);
  const { active } = held.holder;
  await commit(held, scopePut('a'));
  const alone = await signJws(envelopeKind.typ, JSON.parse(payloadOf(held.commits[1] ?? raise())), [
    alice,
  ]);
  await receive(held, alone);
  await hear(held, []);
  expect(held.holder.active).toBe(active);
});
