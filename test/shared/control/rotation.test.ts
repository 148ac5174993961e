// What a rotation means for those who hold state (C5, C9, C10): who may still commit, whose words
// count, and that all come to the same state whatever they were pinned to.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toWire } from '../../../shared/canonical.ts';
import { adoptHead, emptyMirror, writeHead } from '../../../shared/control/head.ts';
import {
  emptyHolder,
  receiveAll,
  trusting,
  verifyAttestations,
} from '../../../shared/control/holder.ts';
import type { Jws } from '../../../shared/control/jws.ts';
import {
  keyringOf,
  openTrust,
  type Trust,
  type TrustDocument,
  trustAt,
} from '../../../shared/control/trust.ts';
import { adoptTrust } from '../../../shared/control/trust-chain.ts';
import { digestOf } from '../../../shared/digest.ts';
import { alice, bob, outcomeOf, SEED } from '../forge.ts';
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
  SITES,
  type SiteName,
  signCommit,
  type TestHolder,
  testTrust,
} from '../kit.ts';
import { newAgentKey, rotated, signedAfter, sitesWith, WITHOUT_ALICE } from '../rotations.ts';

const NOW = 1_790_000_000_000;

const one = await testTrust();
const two = await rotated(one, WITHOUT_ALICE);

const scope = (id: string) => [put(`global/scopes/${id}`, { regions: ['eu1'], ingress: 'any' })];

async function started(): Promise<TestHolder> {
  const held = newHolder(one);
  await commit(held, FIRST);
  return held;
}

function adopt(held: TestHolder, trust: Trust): void {
  held.holder = trusting(held.holder, trust);
}

const byBob = (held: TestHolder, operations = scope('bobs'), changes = {}) =>
  signCommit(held, operations, { author: 'bob', ...changes }, bob);

describe('an operator whose key was taken out', () => {
  test('may commit under the old document until a commit stands on the new one', async () => {
    const held = await started();
    adopt(held, two);
    expect(await outcomeOf(held, await signCommit(held, scope('a'), { trust: 2n }))).toBe(
      'key-unknown',
    );
    // The manifest that alice signs for is that of the old document.
    const under = { ...held, holder: { ...held.holder, trust: one } };
    expect(await outcomeOf(held, await signCommit(under, scope('a')))).toBe('taken');
    expect(await outcomeOf(held, await byBob(held))).toBe('taken');
    const late = { ...held, holder: { ...held.holder, trust: one } };
    expect(await outcomeOf(held, await signCommit(late, scope('b')))).toBe('trust-old');
    expect(await outcomeOf(held, await signCommit(held, scope('b'), {}, alice))).toBe(
      'key-unknown',
    );
  });

  test('what she committed before verifies for ever', async () => {
    const held = await started();
    adopt(held, two);
    await receive(held, await byBob(held));
    const later = newHolder(two);
    for (const jws of held.commits) expect(await outcomeOf(later, jws)).toBe('taken');
    expect(later.holder.state.manifestDigest).toBe(held.holder.state.manifestDigest);
  });
});

describe('a commit without operations', () => {
  test('completes a rotation, once', async () => {
    const held = await started();
    expect(held.holder.state.manifest.trust).toBe(1n);
    adopt(held, two);
    expect(await outcomeOf(held, await byBob(held, []))).toBe('taken');
    expect(held.holder.state.manifest).toMatchObject({ version: 2n, trust: 2n });
    expect(await outcomeOf(held, await byBob(held, []))).toBe('operations');
  });

  test('says nothing of another trust version than it stands on', async () => {
    const held = await started();
    adopt(held, two);
    const jws = await byBob(held, [], { trust: 1n });
    expect(await outcomeOf(held, jws)).toBe('operations');
  });
});

describe('a receiver without the document that a commit names', () => {
  test('halts until it has it (C4)', async () => {
    const held = await started();
    const author = { ...held, holder: trusting(held.holder, two) };
    const next = await byBob(author);
    expect(await outcomeOf(held, next)).toBe('trust-missing');
    adopt(held, two);
    expect(await outcomeOf(held, next)).toBe('taken');
  });

  test('verifies commits of before its pin when it has the documents of then', async () => {
    const pin = await openTrust(two.jws, crypto);
    if ('code' in pin) throw new Error(pin.code);
    const held = newHolder(pin);
    const [first] = (await started()).commits;
    expect(await outcomeOf(held, first)).toBe('trust-missing');
    adopt(held, (await adoptTrust(pin, [one.jws], crypto)).trust);
    expect(await outcomeOf(held, first)).toBe('taken');
  });
});

test('sites are those of the document that the commit names', async () => {
  const sites = { ...sitesWith([]), ap1: { agents: { 'ap1-1': keyNamed('agent ap1-1').x } } };
  const more = await rotated(one, { sites, threshold: 3 });
  const held = await started();
  const site = [put('global/sites/ap1', { region: false })];
  expect(await outcomeOf(held, await signCommit(held, site))).toBe('site');
  adopt(held, more);
  expect(await outcomeOf(held, await signCommit(held, site))).toBe('taken');
  // Taken out of trust while its record is there, a site would be named by nobody.
  const { w1: _, ...left }: TrustDocument['sites'] = sites;
  const fewer = await rotated(more, { sites: left, threshold: 2 });
  adopt(held, fewer);
  expect(await outcomeOf(held, await signCommit(held, scope('x')))).toBe('site');
  const gone = [{ op: 'delete', key: 'global/sites/w1' }] as const;
  expect(await outcomeOf(held, await signCommit(held, gone))).toBe('taken');
});

describe('words (C10)', () => {
  async function hear(held: TestHolder, ...words: readonly Jws[]): Promise<readonly string[]> {
    const { book, trust } = held.holder;
    const { verified, refused } = await verifyAttestations(book, words, trust, crypto);
    const taken = receiveAll(held.holder, verified, NOW);
    held.holder = taken.holder;
    return [...refused, ...taken.refused].map(({ code }) => code);
  }

  const wordsOf = (held: TestHolder, ...sites: readonly SiteName[]) =>
    Promise.all(sites.map((site) => attest(held, site, NOW)));

  const activeOf = ({ holder }: TestHolder) => holder.active?.version ?? null;

  test('of an agent that is no longer named stop counting; what is active stays', async () => {
    const held = await started();
    await hear(held, ...(await wordsOf(held, 'eu1', 'us1')));
    expect(activeOf(held)).toBe(1n);
    await commit(held, scope('a'));
    await hear(held, await attest(held, 'eu1', NOW, { seq: BigInt(NOW) + 1n }));
    adopt(held, await rotated(one, { sites: sitesWith(['eu1']) }));
    expect([...held.holder.book.latest.keys()]).toEqual([agentKey('us1').kid]);
    await hear(held, await attest(held, 'us1', NOW, { seq: BigInt(NOW) + 1n }));
    expect(activeOf(held)).toBe(1n);
    expect(await hear(held, ...(await wordsOf(held, 'eu1')))).toEqual(['key-unknown']);
    await hear(held, await attest(held, 'eu1', NOW, {}, newAgentKey('eu1')));
    expect(activeOf(held)).toBe(2n);
  });

  test('count by the new threshold and the new sites', async () => {
    const held = await started();
    const { w1: _, ...sites } = sitesWith([]);
    await hear(held, ...(await wordsOf(held, 'eu1', 'w1')).slice(0, 1));
    adopt(held, await rotated(one, { sites, threshold: 2 }));
    expect(await hear(held, ...(await wordsOf(held, 'w1')))).toEqual(['key-unknown']);
    expect(activeOf(held)).toBeNull();
    await hear(held, ...(await wordsOf(held, 'us1')));
    expect(activeOf(held)).toBe(1n);
  });

  test('of a site removed after they were heard count no more', async () => {
    const held = await started();
    await hear(held, ...(await wordsOf(held, 'w1')));
    const { w1: _, ...sites } = sitesWith([]);
    adopt(held, await rotated(one, { sites }));
    await hear(held, ...(await wordsOf(held, 'eu1')));
    expect(activeOf(held)).toBeNull();
  });

  // Attack: a stolen key names another commit, so that its successor looks like a liar.
  test('a site that lost a key begins anew; another one’s contradictions stay', async () => {
    const held = await started();
    for (const site of ['eu1', 'w1'] as const) {
      const lie = { envelope: held.holder.state.manifestDigest, seq: BigInt(NOW) + 1n };
      await hear(held, await attest(held, site, NOW), await attest(held, site, NOW, lie));
    }
    expect([...held.holder.book.equivocators]).toEqual(['eu1', 'w1']);
    adopt(held, await rotated(one, { sites: sitesWith(['eu1']) }));
    expect([...held.holder.book.equivocators]).toEqual(['w1']);
    await hear(held, await attest(held, 'eu1', NOW, {}, newAgentKey('eu1')));
    await hear(held, ...(await wordsOf(held, 'us1')));
    expect([...held.holder.book.equivocators]).toEqual(['w1']);
    expect(activeOf(held)).toBe(1n);
  });

  test('trust that is no news changes nothing', async () => {
    const held = await started();
    await hear(held, ...(await wordsOf(held, 'eu1')));
    expect(trusting(held.holder, one)).toBe(held.holder);
    adopt(held, two);
    expect(trusting(held.holder, one)).toBe(held.holder);
    expect(held.holder.book.latest.size).toBe(1);
  });
});

test('the key of an edge: the new one is an edge, the one taken out is nobody', async () => {
  const next = await rotated(one, { edges: { edge: keyNamed('new edge').x } });
  const [old, own] = [keyNamed('edge').kid, keyNamed('new edge').kid];
  const [before, after] = [keyringOf(one, 'edge'), keyringOf(next, 'edge')];
  expect([before(old) !== null, before(own) !== null]).toEqual([true, false]);
  expect([after(old) !== null, after(own) !== null]).toEqual([false, true]);
});

describe('a head', () => {
  async function storeUnder(trust: Trust, signerOf: (site: string) => typeof alice) {
    const held = await started();
    adopt(held, trust);
    const words = SITES.map((site) => attest(held, site, NOW, {}, signerOf(site)));
    const { book } = held.holder;
    const { verified } = await verifyAttestations(book, await Promise.all(words), trust, crypto);
    held.holder = receiveAll(held.holder, verified, NOW).holder;
    return held;
  }

  test('brings a cold isolate the trust by which its words count', async () => {
    const next = await rotated(one, { sites: sitesWith(SITES) });
    const held = await storeUnder(next, newAgentKey);
    const taken = await adoptHead(emptyMirror(one), writeHead(held.holder), NOW, crypto);
    if (taken.kind === 'refused') throw new Error(taken.code);
    expect(taken.mirror.active?.version).toBe(1n);
    expect(taken.mirror.trust.digest).toBe(next.digest);
    expect(taken.refused).toEqual([]);
  });

  test('with trust that is refused is judged by what is held, and it is said', async () => {
    const held = await storeUnder(one, agentKey);
    const few = await signedAfter(one, {}, ['root r1']);
    const text = JSON.stringify({ ...JSON.parse(writeHead(held.holder)), trust: [few] });
    const taken = await adoptHead(emptyMirror(one), text, NOW, crypto);
    expect(taken).toMatchObject({
      mirror: { active: { version: 1n }, trust: { digest: one.digest } },
      refused: [{ code: 'trust-signatures' }],
    });
  });

  test('of a time before takes no trust away, and its revoked words count for nobody', async () => {
    const next = await rotated(one, { sites: sitesWith(SITES) });
    const old = await storeUnder(one, agentKey);
    const mirror = trusting(emptyMirror(one), next);
    const taken = await adoptHead(mirror, writeHead(old.holder), NOW, crypto);
    if (taken.kind === 'refused') throw new Error(taken.code);
    expect([taken.mirror.trust, taken.mirror.active]).toEqual([next, null]);
    expect(taken.refused.map(({ code }) => code)).toEqual(SITES.map(() => 'key-unknown'));
  });

  test('whose commit names a document that is not held is refused', async () => {
    const held = await started();
    adopt(held, two);
    await receive(held, await byBob(held));
    const text = JSON.stringify({ ...JSON.parse(writeHead(held.holder)), trust: [] });
    expect((await adoptHead(emptyMirror(two), text, NOW, crypto)).kind).toBe('adopted');
    expect(await adoptHead(emptyMirror(one), text, NOW, crypto)).toMatchObject({
      code: 'trust-missing',
    });
  });

  // Attack: alice signs on under the document that names her, what no full holder would take.
  test('whose commit stands on an older document than the one before is refused', async () => {
    const held = await started();
    adopt(held, two);
    await receive(held, await byBob(held));
    const { manifest, manifestDigest: previous } = held.holder.state;
    const lamport = manifest.lamport + 1n;
    const next = { ...manifest, version: 3n, lamport, previous, trust: 1n };
    const changes = { trust: 1n, manifest: digestOf(next, crypto) };
    const jws = await signCommit(held, scope('x'), changes, alice);
    const head = JSON.parse(writeHead(held.holder)) as { commits: object[] };
    head.commits.push({ jws, manifest: toWire(next) });
    const outcome = await adoptHead(emptyMirror(two), JSON.stringify(head), NOW, crypto);
    expect(outcome).toMatchObject({ code: 'trust-old' });
  });
});

test('law: whatever is rotated between commits, all pins come to one state', async () => {
  const steps = fc.array(fc.constantFrom('commit', 'rotate', 'complete'), { maxLength: 8 });
  const property = fc.asyncProperty(steps, fc.nat(), async (plan, n) => {
    const held = await started();
    for (const [i, step] of plan.entries()) {
      const { trust, state } = held.holder;
      const rises = trust.document.version > state.manifest.trust;
      if (step === 'rotate') {
        adopt(held, await rotated(trust, { edges: { edge: keyNamed(`edge ${i}`).x } }));
      } else if (step === 'commit' || rises) {
        await commit(held, step === 'commit' ? scope(`s${i}`) : []);
      }
    }
    const { trust, state } = held.holder;
    const all = [...trust.held.values()].map(({ jws }) => jws);
    const pin = await openTrust(trustAt(trust, 1n + BigInt(n % all.length))?.jws, crypto);
    if ('code' in pin) throw new Error(pin.code);
    const other = newHolder((await adoptTrust(pin, all, crypto)).trust);
    for (const jws of held.commits) expect(await outcomeOf(other, jws)).toBe('taken');
    expect(other.holder.state).toEqual(state);
    expect(emptyHolder(pin, crypto).holder.state).toEqual(emptyHolder(one, crypto).holder.state);
  });
  await fc.assert(property, { seed: SEED, numRuns: 30 });
});
