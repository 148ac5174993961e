// The head that a store hands out: enough for an isolate to come to the same version, and never
// more than it takes (C8-C10).

import { describe, expect, test } from 'vitest';
import { type Standing, View } from '../../edge/control/view.ts';
import { HEAD_COMMITS_MAX, OVERTAKEN_HEAD_MS } from '../../shared/limits.ts';
import { crypto, put, testTrust } from '../shared/kit.ts';
import { brief, withStore } from './held-store.ts';
import { change, NOW, Origin } from './origin.ts';

const trust = await testTrust();
const origin = await Origin.start(trust, change(1), change(2), change(3), change(4));

describe('the head that it hands out', () => {
  /** What a cold isolate makes of it. */
  async function coldView(head: string, nowMs: number): Promise<View> {
    const view = new View(trust, crypto);
    await view.adopt(head, nowMs);
    return view;
  }

  test('makes the same version active in an isolate', () =>
    withStore(trust, async (held) => {
      await held.take({ commits: origin.commits, attestations: await origin.words(NOW) });
      const view = await coldView(held.running.head(), NOW);
      expect(view.missingGlobal).toBe(origin.held.holder.state.manifest.global);
    }));

  // An operator applies a long series at once; agents attest what they have read so far.
  test('carries what is active, however many commits follow it (C10)', async () => {
    const grown = await Origin.start(trust);
    const words = await grown.words(NOW);
    const { global } = grown.held.holder.state.manifest;
    for (let n = 1; n <= HEAD_COMMITS_MAX; n++) await grown.commit(change(n));
    await withStore(trust, async (held) => {
      await held.take({ commits: grown.commits.slice(0, 1), attestations: words });
      const answer = await held.takeAll(grown.commits);
      expect(brief(answer)).toBe(`${HEAD_COMMITS_MAX + 1}/1`);
      expect((await coldView(held.running.head(), NOW)).missingGlobal).toBe(global);
    });
  });

  test('renews what an isolate stands on, however many commits follow it (E3)', async () => {
    const grown = await Origin.start(trust);
    const before = grown.fork();
    for (let n = 1; n <= HEAD_COMMITS_MAX + 1; n++) await grown.commit(change(n));
    await withStore(trust, async (held) => {
      await held.take({
        commits: grown.commits.slice(0, 1),
        attestations: await before.words(NOW),
      });
      const view = await coldView(held.running.head(), NOW);
      const { global } = before.held.holder.state.manifest;
      view.takeGlobal(before.pieces.get(global) ?? '', global);
      held.nowMs = NOW + 4_000;
      await held.take({ attestations: await before.words(held.nowMs) });
      await held.takeAll(grown.commits);
      await view.adopt(held.running.head(), held.nowMs);
      expect(view.ageMs(held.nowMs)).toBe(0);
    });
  });

  // Ten commits a second: words of the next one come by another agent than the commit itself.
  test('waits a moment for the commits that a threshold names already (C10)', async () => {
    const grown = await Origin.start(trust, change(1));
    const [commits, words] = [[...grown.commits], await grown.words(NOW)];
    const { global } = grown.held.holder.state.manifest;
    await grown.commit(change(2));
    const overtaking = await grown.words(NOW + 100);
    await withStore(trust, async (held) => {
      await held.take({ commits, attestations: words });
      held.nowMs = NOW + 100;
      await held.take({ attestations: overtaking });
      held.nowMs = NOW + OVERTAKEN_HEAD_MS;
      const view = await coldView(held.running.head(), held.nowMs);
      expect(view.missingGlobal).toBe(global);
      view.takeGlobal(grown.pieces.get(global) ?? '', global);
      const standing = view.standing as Standing;
      expect(view.isBehind(standing)).toBe(false);
      // Not longer: an isolate must hear that it is behind.
      held.nowMs = NOW + OVERTAKEN_HEAD_MS + 1;
      await view.adopt(held.running.head(), held.nowMs);
      expect(view.isBehind(standing)).toBe(true);
      await held.take({ commits: grown.commits });
      await view.adopt(held.running.head(), held.nowMs);
      expect(view.missingGlobal).toBe(grown.held.holder.state.manifest.global);
    });
  });

  // 100 records of 9 KB a commit: what a commit may be, while sites still attest the one before.
  test('is never more than an isolate takes, whatever the commits carry (C9)', async () => {
    const grown = await Origin.start(trust);
    const words = await grown.words(NOW);
    const { global } = grown.held.holder.state.manifest;
    for (let n = 0; n < 4; n++) await grown.commit(bulk(n));
    await withStore(trust, async (held) => {
      await held.take({ commits: grown.commits.slice(0, 3), attestations: words });
      const answer = await held.take({ commits: grown.commits.slice(3) });
      expect(brief(answer)).toBe('5/1');
      const view = await coldView(held.running.head(), NOW);
      expect(view.status(NOW).counters).toEqual({});
      expect(view.missingGlobal).toBe(global);
    });
  });

  function bulk(n: number) {
    const paths = Array.from({ length: 40 }, (_, i) => `/${n}-${i}-${'p'.repeat(100)}`);
    return Array.from({ length: 100 }, (_, i) =>
      put(`global/policies/p${i}`, {
        replicaReads: true,
        mode: 'enforce',
        hardAgeS: { write: 60, read: 300, revocation: 60 },
        slowStartS: 60,
        sessionPaths: paths,
      }),
    );
  }
});
