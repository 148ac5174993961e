// VALID (C4): what every receiver decides about the next commit, from the state before and the
// bytes alone. Each row is signed properly and wrong in one thing; a refusal changes nothing.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonical } from '../../../shared/canonical.ts';
import { type Envelope, envelopeKind, type Operation } from '../../../shared/control/envelope.ts';
import { emptyHolder } from '../../../shared/control/holder.ts';
import { signJws } from '../../../shared/control/jws.ts';
import { entriesOf, type MapNode } from '../../../shared/control/merkle-map.ts';
import { readEntry } from '../../../shared/control/state.ts';
import { judge } from '../../../shared/control/validity.ts';
import { type Digest, digestOf } from '../../../shared/digest.ts';
import { OPERATIONS_PER_COMMIT_MAX } from '../../../shared/limits.ts';
import { del, drafted, nodesOf } from '../drafts.ts';
import {
  alice,
  bob,
  codeOf,
  digestNamed,
  outcomeOf,
  payloadOf,
  SEED,
  signText,
  verifiedByAny,
  vouched,
} from '../forge.ts';
import type { TestKey } from '../kit.ts';
import {
  agentKey,
  commit,
  crypto,
  FIRST,
  keyNamed,
  newHolder,
  put,
  receive,
  signCommit,
  type TestHolder,
  tenantPuts,
  testTrust,
} from '../kit.ts';
import { attempt, EMPTY_WORLD, type Twin, wishes } from '../twin.ts';

const trust = await testTrust();

const DELETION: readonly Operation[] = [del('global/sites/w1')];
const SCOPE = [put('global/scopes/new', { regions: ['eu1'], ingress: 'any' })];

async function second(): Promise<TestHolder> {
  const held = newHolder(trust);
  await commit(held, FIRST);
  return held;
}

/** What `judge` alone says of a commit signed by `signer`. */
async function judged(
  held: TestHolder,
  changes: Partial<Envelope>,
  signer: TestKey = alice,
): Promise<string> {
  const jws = await signCommit(held, SCOPE, changes, signer);
  const envelope = await verifiedByAny(jws, envelopeKind, trust);
  const before = canonical(held.holder.state);
  const outcome = judge(held.holder.state, envelope, trust, nodesOf(held), crypto);
  expect(canonical(held.holder.state)).toBe(before);
  return codeOf(outcome);
}

test.each<readonly [string, Partial<Envelope>, string]>([
  ['is judged as the next', {}, 'accepted'],
  ['for another cluster (C3: moved)', { cluster: 'other' }, 'cluster'],
  ['of a later generation', { generation: 2n }, 'generation'],
  ['of an earlier generation (I2: rollback)', { generation: 0n }, 'generation'],
  ['of the version that is held (replay)', { version: 1n }, 'stale'],
  ['of version 0', { version: 0n }, 'stale'],
  ['that leaves a hole', { version: 3n }, 'gap'],
  ['that follows another (C3: another history)', { previous: digestNamed('other') }, 'previous'],
  ['that follows nothing', { previous: null }, 'previous'],
  ['in another’s name', { author: 'bob' }, 'author'],
  ['in the name of nobody', { author: 'mallory' }, 'author'],
  ['that brings approvals, which nobody can judge yet', { approvals: ['yes'] }, 'approvals'],
  ['that calls itself safety (C6)', { class: 'safety' }, 'safety'],
  ['with an earlier clock', { lamport: 1n }, 'lamport'],
  ['with a later clock (fast-forward)', { lamport: 3n }, 'lamport'],
  ['that leads elsewhere than it says', { manifest: digestNamed('other') }, 'manifest'],
  ['with operations that were not signed for', { operations: [...SCOPE, ...DELETION] }, 'manifest'],
])('a commit %s', async (_name, changes, code) => {
  expect(await judged(await second(), changes)).toBe(code);
});

test.each<readonly [string, TestKey, string]>([
  ['an approver', keyNamed('p1'), 'p1'],
  ['a provisioner', keyNamed('shop'), 'shop'],
  ['a root key', keyNamed('root r1'), 'r1'],
  ['a recovery key', keyNamed('rec'), 'rec'],
  ['an edge', keyNamed('edge'), 'edge'],
])('a commit by %s is refused: not an operator (C3)', async (_name, signer, author) => {
  const held = await second();
  expect(await judged(held, { author }, signer)).toBe('role');
  // On the way in it fails already where the operators' keys are looked up (C9).
  expect(await outcomeOf(held, await signCommit(held, SCOPE, { author }, signer))).toBe(
    'key-unknown',
  );
});

test('a commit by an agent without a batch is refused (C3)', async () => {
  const held = await second();
  const changes = { author: 'eu1-1' };
  expect(await judged(held, changes, agentKey('eu1'))).toBe('approvals');
  const jws = await signCommit(held, SCOPE, changes, agentKey('eu1'));
  expect(await outcomeOf(held, jws)).toBe('approvals');
});

test('a commit by a key that trust does not name is refused', async () => {
  const held = await second();
  const stranger = keyNamed('stranger');
  expect(await outcomeOf(held, await signCommit(held, SCOPE, {}, stranger))).toBe('key-unknown');
  const envelope = await signCommit(held, SCOPE, {}, stranger);
  const believed = await vouched(envelopeKind, JSON.parse(payloadOf(envelope)), stranger.kid);
  expect(codeOf(judge(held.holder.state, believed, trust, nodesOf(held), crypto))).toBe('role');
});

test('a commit has one author: two operators are refused', async () => {
  const held = await second();
  const text = payloadOf(await signCommit(held, SCOPE));
  const both = await signText(envelopeKind.typ, text, [alice, bob]);
  expect(await outcomeOf(held, both)).toBe('author');
  expect(await outcomeOf(held, await signText(envelopeKind.typ, text, [bob]))).toBe('author');
  expect(await outcomeOf(held, await signText(envelopeKind.typ, text, [alice]))).toBe('taken');
});

test('under rules that this code does not know nothing is judged (C4: halt)', async () => {
  const held = await second();
  const envelope = await verifiedByAny(await signCommit(held, SCOPE), envelopeKind, trust);
  const { state } = held.holder;
  const later = { ...state, manifest: { ...state.manifest, rules: 2 } };
  expect(codeOf(judge(later, envelope, trust, nodesOf(held), crypto))).toBe('rules');
});

test('the first commit may be of class safety, and no other (C6)', async () => {
  const held = newHolder(trust);
  expect(await outcomeOf(held, await signCommit(held, FIRST, { class: 'safety' }))).toBe('taken');
  expect(await outcomeOf(held, await signCommit(held, SCOPE, { class: 'safety' }))).toBe('safety');
});

test('the first commit follows nothing', async () => {
  const held = newHolder(trust);
  const previous = digestNamed('other');
  expect(await outcomeOf(held, await signCommit(held, FIRST, { previous }))).toBe('previous');
});

function regions(count: number): readonly Operation[] {
  return Array.from({ length: count }, (_, i) => {
    return put(`global/scopes/s${i}`, { regions: ['eu1'], ingress: 'any' });
  });
}

test('a commit of 100 operations is taken, of 101 refused (C2)', async () => {
  const held = await second();
  expect(OPERATIONS_PER_COMMIT_MAX).toBe(100);
  expect(await outcomeOf(held, await signCommit(held, regions(101)))).toBe('malformed');
  expect(await outcomeOf(held, await signCommit(held, regions(100)))).toBe('taken');
});

test('a commit of no operation is refused', async () => {
  const held = await second();
  expect(await outcomeOf(held, await signCommit(held, []))).toBe('operations');
});

// C7: the author learns it from the same code, before anything is signed.
test.each([0, 101])('an author cannot draft %d operations, which nobody would take', async (n) => {
  const outcome = drafted(await second(), regions(n));
  expect(outcome.kind).toBe('refused');
});

test.each<readonly [string, readonly Operation[], string]>([
  ['an unknown key', [put('global/stuff/x', {})], 'operations'],
  ['a field of a later version', [put('global/scopes/x', { regions: ['eu1'], next: 1 })], 'record'],
  ['a scope with tenants deleted', [del('global/scopes/eu')], 'reference'],
  [
    'a host taken',
    tenantPuts('x', { hosts: ['acme.example'], scope: 'eu', home: 'eu1' }),
    'host-taken',
  ],
  [
    'no legal home',
    [put('global/scopes/atlantic', { regions: ['eu1'], ingress: 'any' })],
    'legal-home',
  ],
  [
    'a home moved',
    [put('tenants/acme/placement', { home: 'eu1', epoch: 65n, state: 'ACTIVE' })],
    'tenant-home',
  ],
  ['a placement deleted', [del('tenants/acme/placement')], 'placement'],
  ['a site that trust does not name', [put('global/sites/x', { region: false })], 'site'],
])('%s is refused with the code of its check, and changes nothing', async (_name, ops, code) => {
  const held = await second();
  expect(codeOf(drafted(held, ops))).toBe(code);
  expect(await outcomeOf(held, await signCommit(held, ops))).toBe(code);
});

test('the second manifest names the first, and the first names none (C8)', async () => {
  const held = newHolder(trust);
  await commit(held, FIRST);
  expect(held.holder.state.manifest).toMatchObject({ version: 1n, lamport: 1n, previous: null });
  const first = held.holder.state.manifestDigest;
  await commit(held, SCOPE);
  expect(held.holder.state.manifest).toMatchObject({ version: 2n, lamport: 2n, previous: first });
});

test('law: what was drafted and signed is taken, and leads where the draft said', async () => {
  const property = fc.asyncProperty(fc.array(wishes, { maxLength: 3 }), async (commits) => {
    const held = newHolder(trust);
    await commit(held, EMPTY_WORLD);
    let twin: Twin = new Map();
    for (const wanted of commits) {
      const { operations, faults, next } = attempt(twin, wanted);
      const plan = drafted(held, operations);
      const outcome = await receive(held, await signCommit(held, operations));
      if (plan.kind === 'refused') expect(codeOf(outcome)).toBe(plan.code);
      else if (plan.folded.class === 'safety') expect(codeOf(outcome)).toBe('class');
      else {
        expect(faults.size).toBe(0);
        expect(outcome).toEqual(plan.writes);
        const { envelope, ...state } = held.holder.state;
        expect({ ...state, envelope: null }).toEqual(plan.state);
        expect(envelope).toBe(held.holder.chain.at(-1)?.digest);
        twin = next;
      }
    }
  });
  await fc.assert(property, { seed: SEED, numRuns: 40 });
});

test('law: pieces stored and not retired are exactly those that the state uses', async () => {
  const property = fc.asyncProperty(fc.array(wishes, { maxLength: 6 }), async (commits) => {
    const held = newHolder(trust);
    const pieces = new Map<Digest, string>();
    for (const [digest, text] of emptyHolder(trust, crypto).writes.pieces) {
      expect(digestOf(JSON.parse(text), crypto)).toBe(digest);
      pieces.set(digest, text);
    }
    expect([...pieces.keys()].toSorted()).toEqual(usedBy(held).toSorted());
    let twin: Twin = new Map();
    for (const operations of [EMPTY_WORLD, ...commits.map((one) => planned(one))]) {
      const plan = drafted(held, operations);
      if (plan.kind === 'refused') continue;
      for (const [digest, node] of plan.writes.nodes) held.nodes.set(digest, node);
      held.holder = { ...held.holder, state: plan.state };
      for (const [digest, text] of plan.writes.pieces) {
        expect(digestOf(JSON.parse(text), crypto)).toBe(digest);
        pieces.set(digest, text);
      }
      for (const digest of plan.writes.retired) expect(pieces.delete(digest)).toBe(true);
      expect([...pieces.keys()].toSorted()).toEqual(usedBy(held).toSorted());
    }
    function planned(wanted: Parameters<typeof attempt>[1]) {
      const { operations, faults, next } = attempt(twin, wanted);
      if (faults.size === 0) twin = next;
      return operations;
    }
  });
  await fc.assert(property, { seed: SEED, numRuns: 40 });
});

function usedBy(held: TestHolder): readonly Digest[] {
  const { manifest } = held.holder.state;
  const used: Digest[] = [manifest.global, manifest.usage];
  const walk = (digest: Digest): void => {
    used.push(digest);
    const node: MapNode | undefined = held.nodes.get(digest);
    if (node !== undefined && 'branch' in node)
      for (const child of Object.values(node.branch)) walk(child);
  };
  walk(manifest.hosts);
  walk(manifest.tenants);
  return used;
}

test('an entry is read as it was written', async () => {
  const held = await second();
  const entries = [...entriesOf(held.holder.state.manifest.tenants, nodesOf(held))];
  expect(entries.map(([id]) => id).toSorted()).toEqual(['acme', 'globex']);
  for (const [, value] of entries) expect(readEntry(value)).toBe(readEntry(value));
});

test('a signature moved to another envelope does not hold', async () => {
  const held = await second();
  const one = await signCommit(held, SCOPE);
  const other = await signJws(envelopeKind.typ, { ...JSON.parse(payloadOf(one)), reason: 'x' }, [
    alice,
  ]);
  const moved = { payload: other.payload, signatures: one.signatures };
  expect(await outcomeOf(held, moved)).toBe('signature');
});
