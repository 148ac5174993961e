// Sending on (H3, E1): what goes to whom, and how one that lags catches up, while no target,
// however it behaves, takes anything from another.

import { describe, expect, test } from 'vitest';
import { nodeCrypto } from '../../agent/adapters/crypto.ts';
import { deltaFor, Publisher, readAnswer, type Target } from '../../agent/control/publish.ts';
import { Receipts } from '../../agent/control/receipts.ts';
import type { Push } from '../../agent/ports.ts';
import { emptyHolder, receiveAll } from '../../shared/control/holder.ts';
import type { Trust } from '../../shared/control/trust.ts';
import {
  ATTESTATIONS_PER_DELTA_MAX,
  CHAIN_LINKS_MAX,
  COMMIT_BYTES_MAX,
  COMMITS_PER_DELTA_MAX,
  DELTA_BYTES_MAX,
} from '../../shared/limits.ts';
import { priorityOf, settled, wordsIn } from '../fakes/fleet.ts';
import { MemoryKeep } from '../fakes/memory-keep.ts';
import { MemorySource } from '../fakes/memory-source.ts';
import {
  attested,
  commitsIn,
  EDGE,
  EdgeRig,
  historyOf,
  PEER,
  PublisherRig,
  trust,
} from '../fakes/publisher-rig.ts';
import { agentOf, trustOfSites } from '../shared/forge.ts';
import { commit, crypto } from '../shared/kit.ts';
import { chainOf, NOW, say } from '../shared/words.ts';

const short = await historyOf(COMMITS_PER_DELTA_MAX + 6);

describe('catching up', () => {
  test.each([
    ['as many as one delta takes', COMMITS_PER_DELTA_MAX, [0, 64]],
    ['one more', COMMITS_PER_DELTA_MAX + 1, [0, 64, 1]],
  ])(
    'a store that has nothing gets %s in one go after its first answer',
    async (_, head, sizes) => {
      const held = await historyOf(head);
      const rig = await EdgeRig.on(held);
      await rig.publish();
      expect(rig.edge.deltas.map(commitsIn)).toEqual(sizes);
      expect(rig.store(0).head).toBe(BigInt(head));
      expect(rig.store(0).active).toBe(BigInt(head));
      await rig.publish();
      expect(rig.edge.deltas.map(commitsIn)).toEqual([...sizes, 0]);
    },
  );

  test('a peer is sent words and no commits: it has a source of its own', async () => {
    const rig = new PublisherRig(
      await attested(short, NOW),
      new MemorySource(),
      async () =>
        '{"id":"us1-1","head":{"generation":"1","version":"0"},"floor":null,"refused":[]}',
      [PEER],
    );
    await rig.publish();
    await rig.publish();
    expect(rig.to(PEER).map(commitsIn)).toEqual([0, 0]);
    expect(wordsIn(rig.to(PEER)[0] ?? '').map(({ site }) => site)).toEqual(['eu1', 'us1']);
  });

  test('commits are cut at half the bytes of a delta, one at least', () => {
    const { holder } = emptyHolder(trust, crypto);
    const sized = (bytes: number) => ({ payload: 'x'.repeat(bytes), signatures: [] });
    const counts = [
      [1_000_000, 1_000_000, 1_000_000],
      [DELTA_BYTES_MAX / 2 + 1, 1],
      [1, DELTA_BYTES_MAX / 2],
    ].map((sizes) => {
      const links = chainOf(1, sizes.length);
      const chain = links.map((link, i) => ({ ...link, jws: sized(sizes[i] ?? 0) }));
      const place = { generation: 1n, version: 0n };
      return deltaFor({ ...holder, chain }, place, [], NOW).commits.length;
    });
    expect(counts).toEqual([2, 1, 1]);
  });

  // Whatever else this agent pushes to, and however often: the turn of each store must come.
  test.each([0, 1, 2, 3])('one stuck store keeps nobody from what is new (%i peers)', async (n) => {
    const held = await historyOf(COMMITS_PER_DELTA_MAX + 1);
    const rig = await EdgeRig.on(held, ['weur', 'enam'], n);
    rig.store(1).stuck = true;
    for (let i = 0; i < 4; i++) await rig.publish();
    expect([rig.store(0).head, rig.store(1).head]).toEqual([65n, 0n]);
    for (let head = 66n; head < 70n; head++) {
      await commit(held, priorityOf(Number(head % 10n)));
      rig.nowMs += 2_000;
      rig.holder = await attested(held, rig.nowMs, rig.holder.book);
      for (let i = 0; i < 2; i++) await rig.publish();
      expect(rig.store(0).head).toBe(head);
    }
  });

  test.each([0, 1])('stores that lag apart are level in one go (%i peers)', async (peers) => {
    const rig = await EdgeRig.on(short, ['weur', 'enam', 'apac'], peers);
    const some = { commits: short.commits.slice(0, 40), attestations: [] };
    await rig.store(1).ingest(some, NOW);
    await rig.store(2).ingest({ ...some, commits: short.commits }, NOW);
    await rig.publish();
    expect([0, 1, 2].map((index) => rig.store(index).head)).toEqual([70n, 70n, 70n]);
  });

  test('an edge that falls back or claims to be ahead is not pushed to without end', async () => {
    const heads = [9n, 5n, 3n, 99n, 0n, 0n];
    const answer = (version: bigint) =>
      `{"stores":[{"id":"a","head":{"generation":"1","version":"${version}"},"floor":null,` +
      `"refused":[]}],"edge":{"version":null,"ageMs":null,"verdicts":{},"counters":{}}}`;
    const push: Push = async () => answer(heads[rig.sent.length - 1] ?? 0n);
    const rig = new PublisherRig(await attested(short, NOW), new MemorySource(), push, [EDGE]);
    for (let i = 0; i < 5; i++) await rig.publish();
    expect(rig.sent.length).toBeLessThanOrEqual(10);
  });
});

describe('a store behind the chain in memory', async () => {
  const versions = CHAIN_LINKS_MAX + 6;
  const long = await historyOf(versions);

  test('gets the older commits from the source, in bounded deltas', async () => {
    const rig = await EdgeRig.on(long);
    await rig.publish();
    expect(rig.store(0).head).toBe(BigInt(versions));
    expect(rig.store(0).active).toBe(BigInt(versions));
    for (const delta of rig.edge.deltas) {
      expect(commitsIn(delta)).toBeLessThanOrEqual(COMMITS_PER_DELTA_MAX);
      expect(delta.length).toBeLessThanOrEqual(DELTA_BYTES_MAX);
    }
    expect(rig.edge.deltas.length).toBe(1 + Math.ceil(versions / COMMITS_PER_DELTA_MAX));
  });

  /** One store stands at the head and has heard; the other starts again with nothing. */
  async function oneLost() {
    const rig = await EdgeRig.on(long, ['weur', 'enam']);
    rig.store(1).stuck = true;
    const all = { commits: long.commits, attestations: [] };
    await rig.store(0).ingest(all, NOW);
    await rig.publish();
    rig.store(1).stuck = false;
    rig.nowMs += 30_000;
    rig.holder = await attested(long, rig.nowMs);
    return rig;
  }

  // E6: the source is down, the stores that hold everything go on.
  test('does not silence the words for the others when the source is down', async () => {
    const rig = await oneLost();
    rig.source.broken = 'down';
    for (let i = 0; i < 2; i++) await rig.publish();
    expect(rig.store(0).freshAtMs).toBe(rig.nowMs);
  });

  // Attack: one old file made large. No delta with it is taken, so no word would arrive any more.
  test.each([
    ['over the bound', 'x'.repeat(DELTA_BYTES_MAX + 1)],
    ['under it in characters', JSON.stringify('€'.repeat(COMMIT_BYTES_MAX * 2 - 2))],
  ])('does not make a delta larger than a receiver takes: %s', async (_, text) => {
    const rig = await oneLost();
    rig.source.write(1n, text);
    for (let i = 0; i < 2; i++) await rig.publish();
    const bytes = rig.edge.deltas.map((delta) => Buffer.byteLength(delta));
    expect(Math.max(...bytes)).toBeLessThanOrEqual(DELTA_BYTES_MAX);
    expect(rig.store(0).freshAtMs).toBe(rig.nowMs);
  });
});

describe('one push a target', () => {
  /** Answers that a test gives by hand. */
  function byHand() {
    const asked: { url: string; answer: PromiseWithResolvers<string> }[] = [];
    const push: Push = (url) => {
      const answer = Promise.withResolvers<string>();
      // Whatever goes round without end is stopped here, and seen in the count.
      if (asked.length < 20) asked.push({ url, answer });
      return answer.promise;
    };
    return { asked, push };
  }

  const behind =
    '{"stores":[{"id":"a","head":{"generation":"1","version":"0"},"floor":null,"refused":[]}],' +
    '"edge":{"version":null,"ageMs":null,"verdicts":{},"counters":{}}}';

  test('is under way at a time, and the next goes with the next turn', async () => {
    const { asked, push } = byHand();
    const rig = new PublisherRig(await attested(short, NOW), new MemorySource(), push, [
      PEER,
      EDGE,
    ]);
    for (let i = 0; i < 3; i++) await rig.publish();
    expect(asked.map(({ url }) => url)).toEqual(['peer', 'edge']);
    asked[0]?.answer.reject(new Error('timed out'));
    await settled();
    expect(rig.publisher.status[0]?.state).toEqual({
      kind: 'failed',
      atMs: NOW,
      reason: 'timed out',
    });
    await rig.publish();
    expect(asked.map(({ url }) => url)).toEqual(['peer', 'edge', 'peer']);
  });

  // "At once on a change" (H3): two seconds later is the whole budget of a commit, and more.
  test.each([PEER, EDGE])(
    'what is new while a push is under way follows it ($kind)',
    async (to) => {
      const { asked, push } = byHand();
      const old = await historyOf(1);
      const rig = new PublisherRig(await attested(old, NOW), new MemorySource(), push, [to]);
      await rig.publish();
      await commit(old, priorityOf(5));
      rig.nowMs += 100;
      rig.holder = await attested(old, rig.nowMs, rig.holder.book);
      await rig.publish();
      const place = '{"generation":"1","version":"1"}';
      const store = `{"id":"a","head":${place},"floor":${place},"refused":[]}`;
      const status = '{"version":"1","ageMs":0,"verdicts":{},"counters":{}}';
      const edge = `{"stores":[${store}],"edge":${status}}`;
      asked[0]?.answer.resolve(to.kind === 'peer' ? store : edge);
      await settled();
      const versions = rig.to(to).map((delta) => wordsIn(delta).map(({ version }) => version));
      expect(versions).toEqual([
        [1n, 1n],
        [2n, 2n],
      ]);
    },
  );

  test('a target that was dropped is let alone, even where it lags', async () => {
    const { asked, push } = byHand();
    const rig = new PublisherRig(await attested(short, NOW), new MemorySource(), push, [EDGE]);
    await rig.publish();
    rig.publisher.retarget([PEER]);
    for (let i = 0; i < 5; i++) {
      asked
        .filter(({ url }) => url === 'edge')
        .at(-1)
        ?.answer.resolve(behind);
      await settled();
    }
    expect(asked.map(({ url }) => url)).toEqual(['edge']);
    expect(rig.publisher.status).toEqual([{ ...PEER, state: { kind: 'untried' } }]);
    await rig.publish();
    expect(asked.map(({ url }) => url)).toEqual(['edge', 'peer']);
  });
});

describe('what a delta carries', () => {
  test('every word that is still valid, and none that is not (H3)', async () => {
    const rig = await EdgeRig.on(await historyOf(1));
    rig.nowMs = NOW + 14_999;
    await rig.publish();
    rig.nowMs = NOW + 15_000;
    await rig.publish();
    const [first = '', ...others] = rig.edge.deltas;
    expect(wordsIn(first)).toHaveLength(2);
    expect(wordsIn(others.at(-1) ?? '')).toHaveLength(0);
  });

  // A deployment of many agents: a relay may be left out, for another relays it. One's own may not.
  test('an agent’s own word, however many others it has heard', async () => {
    // 64 sites of five agents; the sender is heard last.
    const [sites, agents] = [64, 5] as const;
    const many: Trust = await trustOfSites(sites, agents);
    const all = Array.from({ length: sites * agents }, (_, i) => {
      return { site: 1 + (i % sites), agent: 1 + Math.floor(i / sites) };
    });
    const words = await Promise.all(
      [...all.slice(1), { site: 1, agent: 1 }].map((who) => {
        return say({ ...who, version: 1, issuedAt: NOW });
      }),
    );
    expect(words.length).toBeGreaterThan(ATTESTATIONS_PER_DELTA_MAX);
    const { holder } = emptyHolder(many, crypto);
    const full = receiveAll(holder, words, NOW);
    expect([full.refused, full.holder.book.latest.size]).toEqual([[], words.length]);
    expect(full.holder.book.latest.has(agentOf(1, 1).kid)).toBe(true);
    const ports = { nowMs: () => NOW, crypto: nodeCrypto, signer: agentOf(1, 1) };
    const sent: string[] = [];
    const push: Push = async (_, delta) => `${sent.push(delta)}`;
    const rest = { source: new MemorySource(), keep: new MemoryKeep(), log: () => {} };
    const sender = { site: 's1', agent: 's1-1', targets: [PEER] };
    const receipts = new Receipts(nodeCrypto, () => {});
    new Publisher(sender, () => full.holder, { ...ports, ...rest, push }, receipts).publish();
    await settled();
    const carried = wordsIn(sent[0] ?? '').map(({ agent }) => agent);
    expect(carried).toContain('s1-1');
    expect(carried).toHaveLength(ATTESTATIONS_PER_DELTA_MAX);
  });
});

describe('what a target answers', () => {
  const edge = '"edge":{"version":"3","ageMs":12,"verdicts":{"eu1":"up"},"counters":{"ok":1}}';
  const store = (version: number) =>
    `{"id":"s${version}","head":{"generation":"1","version":"${version}"},` +
    `"floor":null,"refused":[]}`;
  const silent = '{"id":"s","floor":null,"refused":[],"code":"store-timeout"}';
  test.each<readonly [string, Target['kind'], string, bigint | null]>([
    ['the lowest of its stores', 'edge', `{"stores":[${store(7)},${store(3)}],${edge}}`, 3n],
    ['the one that answered', 'edge', `{"stores":[${silent},${store(9)}],${edge}}`, 9n],
    ['none, where none answered', 'edge', `{"stores":[${silent}],${edge}}`, null],
    ['none, where there are none', 'edge', `{"stores":[],${edge}}`, null],
    ['a peer’s own', 'peer', store(4), 4n],
    ['more than is known', 'peer', store(4).replace('{', '{"more":[1],'), 4n],
  ])('its head is %s', (_, kind, text, version) => {
    expect(readAnswer(kind, text)?.heads[0]?.version ?? null).toBe(version);
  });

  test.each<readonly [string, Target['kind'], string]>([
    ['nothing', 'edge', ''],
    ['a page', 'edge', '<html>'],
    ['null', 'edge', 'null'],
    ['no stores', 'edge', '{}'],
    ['a peer’s', 'edge', store(1)],
    ['a store that says nothing', 'edge', `{"stores":[{"id":"a"}],${edge}}`],
    ['a version below 0', 'edge', `{"stores":[${store(-1)}],${edge}}`],
    ['a version that is a number', 'edge', `{"stores":[],"edge":{"version":3}}`],
    ['an edge’s', 'peer', `{"stores":[],${edge}}`],
    ['brackets without end', 'peer', '['.repeat(10_000)],
    ['a code that is a number', 'peer', store(1).replace('"refused":[]', '"refused":[1]')],
  ])('an answer that is none is a failure: %s', async (_, kind, text) => {
    expect(readAnswer(kind, text)).toBeNull();
    const target = { url: 'x', kind };
    const push: Push = async () => text;
    const rig = new PublisherRig(await attested(short, NOW), new MemorySource(), push, [target]);
    await rig.publish();
    const reason = 'the answer is not readable';
    expect(rig.publisher.status[0]?.state).toEqual({ kind: 'failed', atMs: NOW, reason });
    expect(rig.sent).toHaveLength(1);
  });
});
