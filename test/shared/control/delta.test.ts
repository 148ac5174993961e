// Deltas (C9 up to the sender; INTERFACES, "Ingest"): who spends a receiver's time, and within what
// bounds. Nothing here says that what a delta carries is true.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonical } from '../../../shared/canonical.ts';
import { type Delta, openDelta, sealDelta } from '../../../shared/control/delta.ts';
import { type Jws, signJws } from '../../../shared/control/jws.ts';
import { carriedTrust } from '../../../shared/control/trust-chain.ts';
import { digestOf } from '../../../shared/digest.ts';
import {
  ATTESTATION_BYTES_MAX,
  ATTESTATIONS_PER_DELTA_MAX,
  COMMITS_PER_DELTA_MAX,
  DELTA_BYTES_MAX,
  NESTING_MAX,
  TRUST_PER_DELTA_MAX,
} from '../../../shared/limits.ts';
import { codeOf, SEED, signText, withBrokenSignature } from '../forge.ts';
import {
  agentKey,
  attest,
  commit,
  crypto,
  FIRST,
  keyNamed,
  newHolder,
  type TestKey,
  testTrust,
} from '../kit.ts';
import { newAgentKey, rotated, signedAfter, sitesWith } from '../rotations.ts';

const TYP = 'portolan-delta+json';
const NOW = 1_790_000_000_000;

const trust = await testTrust();
const held = newHolder(trust);
await commit(held, FIRST);

const EU1 = { cluster: 'demo', site: 'eu1', agent: 'eu1-1' };
const DELTA: Delta = {
  v: 1,
  trust: [trust.jws],
  commits: held.commits,
  attestations: [await attest(held, 'eu1', NOW), await attest(held, 'us1', NOW)],
};
const SEALED = await sealDelta(DELTA, EU1, agentKey('eu1'), crypto);

const open = async (text: string) => openDelta(text, trust, crypto);
const seal = (delta: object, from = EU1, key: TestKey = agentKey('eu1')) =>
  sealDelta(delta as Delta, from, key, crypto);

/** The sealed body with another member put in, unsigned. */
function altered(change: (body: Record<string, unknown>) => unknown): string {
  return JSON.stringify(change(JSON.parse(SEALED) as Record<string, unknown>));
}

test('what was sealed is opened as it was', async () => {
  expect(await open(SEALED)).toEqual({
    kind: 'delta',
    sender: { site: 'eu1', agent: 'eu1-1' },
    commits: DELTA.commits,
    attestations: DELTA.attestations,
    trust,
    refused: [],
  });
});

test('a delta without news is a delta', async () => {
  const empty = { v: 1, trust: [], commits: [], attestations: [] };
  expect(codeOf(await open(await seal(empty)))).toBe('delta');
});

test.each<readonly [string, string, string]>([
  ['nothing', '', 'malformed'],
  ['not JSON', '{', 'malformed'],
  ['JSON twice', `${SEALED}${SEALED}`, 'malformed'],
  ['cut off', SEALED.slice(0, -1), 'malformed'],
  ['null', 'null', 'malformed'],
  ['a text', '"delta"', 'malformed'],
  ['an array', `[${SEALED}]`, 'malformed'],
  ['an infinite number', '{"v":1e999}', 'malformed'],
  ['with a byte order mark', `\ufeff${SEALED}`, 'malformed'],
  ['with a lone surrogate in a value', altered((body) => ({ ...body, x: '\ud800' })), 'malformed'],
  ['with a lone surrogate in a name', altered((body) => ({ ...body, '\udfff': 1 })), 'malformed'],
  ['with a lone surrogate, unescaped', `{"x":"\ud800",${SEALED.slice(1)}`, 'malformed'],
  ['without v', altered(({ v: _, ...body }) => body), 'malformed'],
  ['of half a version', altered((body) => ({ ...body, v: 1.5 })), 'malformed'],
  ['without commits', altered(({ commits: _, ...body }) => body), 'malformed'],
  ['with commits that are no list', altered((body) => ({ ...body, commits: {} })), 'malformed'],
  ['without a sender', altered(({ sender: _, ...body }) => body), 'malformed'],
  ['with a sender of another form', altered((body) => ({ ...body, sender: 'eu1' })), 'malformed'],
  ['of version 3', altered((body) => ({ ...body, v: 3 })), 'version-unsupported'],
  ['of version 0', altered((body) => ({ ...body, v: 0 })), 'version-unsupported'],
  ['of another version than was signed', altered((body) => ({ ...body, v: 2 })), 'sender'],
  ['with a member more, unsigned', altered((body) => ({ ...body, x: 1 })), 'sender'],
  ['with a commit less', altered((body) => ({ ...body, commits: [] })), 'sender'],
  [
    'with a commit more',
    altered((body) => ({ ...body, commits: [...DELTA.commits, 1] })),
    'sender',
  ],
  [
    'in another order',
    altered((body) => ({ ...body, attestations: DELTA.attestations.toReversed() })),
    'sender',
  ],
  ['without its trust', altered((body) => ({ ...body, trust: [] })), 'sender'],
  [
    'with padding in the sender',
    altered((body) => {
      return {
        ...body,
        sender: { ...(body['sender'] as Jws), payload: `${senderOf(body).payload}=` },
      };
    }),
    'encoding',
  ],
  [
    'with a broken signature',
    altered((body) => {
      return { ...body, sender: withBrokenSignature(senderOf(body)) };
    }),
    'signature',
  ],
])('a delta that is %s is refused', async (_name, text, code) => {
  expect(codeOf(await open(text))).toBe(code);
});

function senderOf(body: Record<string, unknown>): Jws {
  return body['sender'] as Jws;
}

test('a delta of version 3 is refused for its version, whatever its members are', async () => {
  const later = await seal({ v: 3, trust: {}, commits: {}, attestations: {} });
  expect(codeOf(await open(later))).toBe('version-unsupported');
});

test('members of a next version are tolerated, and signed for (E1: N+1)', async () => {
  const later = await seal({ ...DELTA, receipts: [{ of: 'later' }] });
  expect(codeOf(await open(later))).toBe('delta');
  expect(codeOf(await open(later.replace('"later"', '"other"')))).toBe('sender');
  expect(codeOf(await open(later.replace(',"receipts":[{"of":"later"}]', '')))).toBe('sender');
});

// Attack: what an assignment would make the prototype is not in any digest.
test.each(['1', '{"commits":[]}', '[]'])(
  'a member __proto__ of %s is not passed over',
  async (value) => {
    const slipped = `{"__proto__":${value},${SEALED.slice(1)}`;
    expect(['malformed', 'sender']).toContain(codeOf(await open(slipped)));
  },
);

test('a body with another’s sender is refused: the signature is for another body', async () => {
  const other = await seal(
    { ...DELTA, commits: [] },
    { ...EU1, site: 'us1', agent: 'us1-1' },
    agentKey('us1'),
  );
  const { sender } = JSON.parse(other) as { sender: unknown };
  expect(codeOf(await open(altered((body) => ({ ...body, sender }))))).toBe('sender');
});

test.each<readonly [string, typeof EU1, TestKey, string]>([
  ['another site', { ...EU1, site: 'us1' }, agentKey('eu1'), 'sender'],
  ['another agent', { ...EU1, agent: 'eu1-2' }, agentKey('eu1'), 'sender'],
  ['another site’s agent', { ...EU1, site: 'us1', agent: 'us1-1' }, agentKey('eu1'), 'sender'],
  ['another cluster', { ...EU1, cluster: 'other' }, agentKey('eu1'), 'cluster'],
  ['itself, an operator', EU1, keyNamed('alice'), 'key-unknown'],
  ['itself, an edge', EU1, keyNamed('edge'), 'key-unknown'],
  ['itself, a stranger', EU1, keyNamed('stranger'), 'key-unknown'],
])('a sender that claims to be %s is refused', async (_name, from, key, code) => {
  expect(codeOf(await open(await seal(DELTA, from, key)))).toBe(code);
});

async function withSender(claim: object, signers: readonly TestKey[], typ = TYP, alg?: string) {
  const text = canonical({ kind: 'delta', ...EU1, digest: digestOf(DELTA, crypto), ...claim });
  const sender = await signText(typ as typeof TYP, text, signers, alg);
  return open(altered((body) => ({ ...body, sender })));
}

test('a sender is one agent, in one form, by one algorithm', async () => {
  const own = agentKey('eu1');
  expect(codeOf(await withSender({}, [own]))).toBe('delta');
  expect(codeOf(await withSender({ kind: 'commit' }, [own]))).toBe('malformed');
  expect(codeOf(await withSender({ later: 1 }, [own]))).toBe('malformed');
  expect(codeOf(await withSender({}, [own], 'portolan-attestation+json'))).toBe('malformed');
  expect(codeOf(await withSender({}, [own], TYP, 'EdDSA'))).toBe('algorithm');
  expect(codeOf(await withSender({}, [own, keyNamed('alice')]))).toBe('key-unknown');
  expect(codeOf(await withSender({}, [keyNamed('alice'), own]))).toBe('key-unknown');
});

test('the claim of a sender is bounded', async () => {
  const filled = (fill: number) => withSender({ x: 'x'.repeat(fill) }, [agentKey('eu1')]);
  const bare = canonical({ kind: 'delta', ...EU1, digest: digestOf(DELTA, crypto), x: '' }).length;
  expect(codeOf(await filled(ATTESTATION_BYTES_MAX - bare))).toBe('malformed');
  expect(codeOf(await filled(ATTESTATION_BYTES_MAX - bare + 1))).toBe('too-large');
});

// C5, E1: a receiver that has just started holds the pin alone.
test('a sender is judged by the trust that the delta brings', async () => {
  const two = await rotated(trust, { sites: sitesWith(['eu1']) });
  const carried = { ...DELTA, trust: carriedTrust(two) };
  const byNew = await open(await seal(carried, EU1, newAgentKey('eu1')));
  expect(byNew.kind === 'delta' && byNew.trust.document.version).toBe(2n);
  expect(codeOf(await open(await seal(carried)))).toBe('key-unknown');
  expect(codeOf(await open(await seal(DELTA, EU1, newAgentKey('eu1'))))).toBe('key-unknown');
});

test('a trust document that is refused is named, the rest judged by what is held', async () => {
  const few = await signedAfter(trust, {}, ['root r1']);
  const outcome = await open(await seal({ ...DELTA, trust: [few, {}] }));
  expect(outcome).toMatchObject({ commits: DELTA.commits, trust: { digest: trust.digest } });
  const codes = outcome.kind === 'delta' ? outcome.refused.map(({ code }) => code) : [];
  expect(codes).toEqual(['malformed', 'trust-signatures']);
});

test.each([
  ['trust', TRUST_PER_DELTA_MAX, 8],
  ['commits', COMMITS_PER_DELTA_MAX, 64],
  ['attestations', ATTESTATIONS_PER_DELTA_MAX, 256],
] as const)('a delta carries so many %s and not one more', async (member, most, count) => {
  expect(most).toBe(count);
  const full = (count: number) =>
    seal({ ...DELTA, [member]: Array.from({ length: count }, () => 1) });
  expect(codeOf(await open(await full(most)))).toBe('delta');
  expect(codeOf(await open(await full(most + 1)))).toBe('malformed');
});

test.each(['a', 'é', '😀'])('a delta takes 4 MiB and not a byte more, in %s', async (char) => {
  const bytesOf = (text: string) => new TextEncoder().encode(text).length;
  const filled = async (fill: string) => seal({ ...DELTA, x: fill });
  const left = DELTA_BYTES_MAX - bytesOf(await filled(''));
  const wide = char.repeat(Math.floor(left / bytesOf(char)));
  const full = await filled(wide + 'a'.repeat(left - bytesOf(wide)));
  expect(bytesOf(full)).toBe(4 * 1024 * 1024);
  expect(codeOf(await open(full))).toBe('delta');
  expect(codeOf(await open(`${full} `))).toBe('too-large');
});

test('brackets inside brackets end', async () => {
  const nested = (depth: number) =>
    `{"x":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)},${SEALED.slice(1)}`;
  expect(codeOf(await open(nested(NESTING_MAX)))).toBe('sender');
  expect(codeOf(await open(nested(NESTING_MAX + 1)))).toBe('malformed');
  expect(codeOf(await open(nested(1_000_000)))).toBe('malformed');
});

test('law: whatever byte is altered, the delta is refused or says what was signed', async () => {
  const signed = canonical(await open(SEALED));
  const change = fc.tuple(fc.nat(SEALED.length - 1), fc.integer({ min: 0x20, max: 0x7e }));
  const property = fc.asyncProperty(change, fc.boolean(), async ([at, code], insert) => {
    const char = String.fromCharCode(code);
    const text = SEALED.slice(0, at) + char + SEALED.slice(insert ? at : at + 1);
    const outcome = await open(text);
    if (outcome.kind === 'delta') expect(canonical(outcome)).toBe(signed);
  });
  await fc.assert(property, { seed: SEED, numRuns: 400 });
});

test('law: any JSON is refused, none is thrown at', async () => {
  const property = fc.asyncProperty(fc.jsonValue({ maxDepth: 3 }), async (value) => {
    const text = JSON.stringify({ ...JSON.parse(SEALED), attestations: [value] });
    expect(['sender', 'malformed']).toContain(codeOf(await open(text)));
    expect(codeOf(await open(JSON.stringify(value)))).toBe('malformed');
  });
  await fc.assert(property, { seed: SEED, numRuns: 100 });
});

test('the sender’s signature says nothing of what is inside', async () => {
  const lies = await seal({ ...DELTA, commits: [{ payload: 'x' }], attestations: [null] });
  expect(await open(lies)).toMatchObject({ commits: [{ payload: 'x' }], attestations: [null] });
});

test('a document of another kind cannot stand for a sender', async () => {
  const sender = await signJws('portolan-attestation+json', { kind: 'delta' }, [agentKey('eu1')]);
  expect(codeOf(await open(altered((body) => ({ ...body, sender }))))).toBe('malformed');
});
