// A fork: a commit that an operator signed and nobody decided, brought to a store by one agent. It
// must not become active, and must not keep the decided one out (C9, C10, I16).

import { describe, expect, test } from 'vitest';
import { headsOf } from '../../shared/control/answer.ts';
import { COMMITS_PER_DELTA_MAX, FORK_STILL_MS } from '../../shared/limits.ts';
import { FIRST, keyNamed, signCommit, testTrust } from '../shared/kit.ts';
import { brief, dump, type HeldStore, withStore } from './held-store.ts';
import { change, NOW, Origin } from './origin.ts';

const trust = await testTrust();
const two = await Origin.start(trust, change(1));

/** What was decided after version 2, and what was not. */
async function histories(decided: number, undecided: number) {
  const [right, fork] = [two.fork(), two.fork()];
  for (let n = 0; n < decided; n++) await right.commit(change(10 + n));
  for (let n = 0; n < undecided; n++) await fork.commit(change(20 + n));
  return { right, fork };
}

/** Whatever it takes, the store comes to `right` with what agents send again and again. */
async function comesTo(held: HeldStore, right: Origin): Promise<void> {
  let answer = await held.take({});
  for (let turn = 0; turn < 4; turn++) {
    held.nowMs += 2_000;
    // As agents do: what a store refused as not following says from where it needs all.
    const from = Number(headsOf([answer])[0]?.version ?? 0n);
    const attestations = await right.words(held.nowMs);
    answer = await held.take({ commits: right.commits.slice(from), attestations });
  }
  const { head, floor } = await held.take({});
  expect([head?.version, floor?.version]).toEqual([right.version, right.version]);
  const { manifest } = right.held.holder.state;
  for (const digest of [manifest.global, manifest.usage, manifest.hosts, manifest.tenants]) {
    expect(held.running.piece(digest)).toBe(right.pieces.get(digest));
  }
}

test("one site's word for another commit leaves everything as it is (I16)", () =>
  withStore(trust, async (held, storage) => {
    const { right, fork } = await histories(1, 1);
    await held.take({ commits: fork.commits, attestations: await two.words(NOW) });
    const before = dump(storage);
    await held.take({ attestations: await right.words(NOW + 1_000, ['w1']) });
    expect(dump(storage)).toEqual(before);
    expect(held.alarms()).toEqual([]);
  }));

describe('a fork is left when a threshold attests another', () => {
  test.each([
    ['of one commit, at its version', 1, 1],
    ['of two commits, at the first', 1, 2],
    ['of two commits, at the second', 2, 2],
    ['of three commits, at the second', 2, 3],
  ])('%s', (_, decided, undecided) =>
    withStore(trust, async (held) => {
      const { right, fork } = await histories(decided, undecided);
      await held.take({ commits: fork.commits, attestations: await two.words(NOW) });
      held.nowMs = NOW + 1_000;
      const { head, floor } = await held.take({ attestations: await right.words(held.nowMs) });
      expect([head?.version, floor?.version]).toEqual([2n, 2n]);
      expect(held.lines).toMatchObject([{ alarm: 'equivocation', action: 'rewind' }]);
      await comesTo(held, right);
    }),
  );

  // Agents attest what is newest: two commits that they read at once are attested as one.
  test.each([
    ['by one version', 2, 1],
    ['by three versions', 4, 1],
    ['by one version, the fork being longer', 3, 2],
  ])('also when the threshold is beyond it %s', (_, decided, undecided) =>
    withStore(trust, async (held) => {
      const { right, fork } = await histories(decided, undecided);
      await held.take({ commits: fork.commits, attestations: await two.words(NOW) });
      await comesTo(held, right);
    }),
  );

  test('also when the threshold is beyond it by more than a delta carries', () =>
    withStore(trust, async (held) => {
      const { right, fork } = await histories(COMMITS_PER_DELTA_MAX + 6, 1);
      await held.take({ commits: fork.commits, attestations: await two.words(NOW) });
      for (let turn = 1; turn <= 4; turn++) {
        held.nowMs = NOW + FORK_STILL_MS + turn * 2_000;
        const from = Number(headsOf([await held.take({})])[0]?.version ?? 0n);
        const after = Math.min(from, 2);
        const commits = right.commits.slice(turn === 1 ? after : from);
        const some = commits.slice(0, COMMITS_PER_DELTA_MAX);
        await held.take({ commits: some, attestations: await right.words(held.nowMs) });
      }
      expect(brief(await held.take({}))).toBe(`${right.version}/${right.version}`);
    }));

  test('not because one agent brings a history that sites have not gone beyond', () =>
    withStore(trust, async (held, storage) => {
      const { right, fork } = await histories(1, 2);
      await held.take({ commits: right.commits, attestations: await two.words(NOW) });
      const before = dump(storage).commits;
      await held.take({ commits: fork.commits, attestations: await right.words(NOW + 1, ['w1']) });
      expect(dump(storage).commits).toEqual(before);
    }));

  test('also when what is brought begins before the fork', () =>
    withStore(trust, async (held) => {
      const { right, fork } = await histories(3, 1);
      await held.take({ commits: fork.commits, attestations: await two.words(NOW) });
      for (let turn = 1; turn <= 3; turn++) {
        held.nowMs = NOW + turn * 2_000;
        await held.take({ commits: right.commits, attestations: await right.words(held.nowMs) });
      }
      expect(brief(await held.take({}))).toBe('5/5');
    }));

  test('before anything was active, by starting again', () =>
    withStore(trust, async (held) => {
      const { right, fork } = await histories(1, 1);
      await held.take({ commits: fork.commits });
      await held.take({ attestations: await right.words(NOW) });
      expect(held.lines).toMatchObject([{ alarm: 'equivocation', action: 'start again' }]);
      await comesTo(held, right);
    }));

  test('from the first commit on', () =>
    withStore(trust, async (held) => {
      const right = await Origin.start(trust);
      const fork = await Origin.of(trust, [...FIRST, ...change(5)], change(6));
      await held.take({ commits: fork.commits });
      await held.take({ attestations: await right.words(NOW) });
      await comesTo(held, right);
    }));

  test('after a restart, when the store does not remember what was active (E5)', () =>
    withStore(trust, async (held) => {
      const { right, fork } = await histories(1, 1);
      await held.take({ commits: fork.commits, attestations: await two.words(NOW) });
      await held.open();
      held.nowMs = NOW + 1_000;
      const { floor } = await held.take({ attestations: await right.words(held.nowMs) });
      expect(floor?.version).toBe(2n);
      expect(held.lines).toMatchObject([{ alarm: 'equivocation' }]);
      await comesTo(held, right);
    }));
});

test('a fork that was left leaves nothing behind that a restart stumbles over', () =>
  withStore(trust, async (held, storage) => {
    const { right, fork } = await histories(1, 2);
    await held.take({ commits: fork.commits, attestations: await two.words(NOW) });
    await held.take({ attestations: await right.words(NOW + 1_000) });
    await held.open();
    expect(dump(storage).commits).toHaveLength(2);
    await comesTo(held, right);
    expect(held.alarms()).toEqual(['equivocation']);
  }));

test('what two sites of three attest is no fork because the third attests another', () =>
  withStore(trust, async (held) => {
    const { right, fork } = await histories(1, 1);
    await held.take({ commits: right.commits, attestations: await right.words(NOW) });
    const { floor, refused } = await held.take({
      commits: fork.commits.slice(2),
      attestations: await fork.words(NOW + 1_000, ['w1']),
    });
    expect([floor?.version, refused]).toEqual([3n, ['equivocation']]);
  }));

// Attack (C10): a stolen site names both, to be counted for each.
test('a site that names two commits for one version counts for neither', () =>
  withStore(trust, async (held) => {
    const { right, fork } = await histories(1, 1);
    await held.take({ commits: fork.commits, attestations: await two.words(NOW) });
    await held.take({ attestations: await fork.words(NOW + 1_000, ['w1']) });
    await held.take({ attestations: await right.words(NOW + 2_000, ['w1', 'eu1']) });
    const detail = 'w1 attests two digests for version 3';
    expect(held.lines).toEqual([{ alarm: 'equivocation', store: 'weur', detail }]);
    const { head } = await held.take({ attestations: await right.words(NOW + 3_000, ['us1']) });
    expect(head?.version).toBe(2n);
  }));

// Attack (I16): a store that is behind, because it has begun again or a series is long, hears of
// versions that it does not hold yet. Whatever one stolen agent brings then, signed by nobody, must
// not throw it back: it would never catch up.
describe('junk that one agent brings takes nothing back', () => {
  const JUNK = [
    ['a commit that follows another', 'stranger', {}],
    ['a commit of the next version by a stranger', 'stranger', null],
    ['a commit that an operator signed for another place', 'alice', {}],
  ] as const;

  test.each(JUNK)('%s, before anything is active', (_, key, changes) =>
    withStore(trust, async (held) => {
      const { right } = await histories(3, 0);
      await held.take({ commits: right.commits.slice(0, 2) });
      await held.take({ attestations: await right.words(NOW) });
      const forged = changes === null ? {} : { previous: null, version: 3n };
      const junk = await signCommit(two.held, change(30), forged, keyNamed(key));
      const { head } = await held.take({ commits: [junk] });
      expect(head?.version).toBe(2n);
    }),
  );

  test.each(JUNK)('%s, in front of what is active', (_, key, changes) =>
    withStore(trust, async (held) => {
      const { right } = await histories(4, 0);
      await held.take({ commits: two.commits, attestations: await two.words(NOW) });
      const { head: before } = await held.take({ commits: right.commits.slice(2, 4) });
      await held.take({ attestations: await right.words(NOW + 1_000) });
      const forged = changes === null ? {} : { previous: null, version: 5n };
      const junk = await signCommit(two.held, change(30), forged, keyNamed(key));
      const { head } = await held.take({ commits: [junk] });
      expect([before?.version, head?.version]).toEqual([4n, 4n]);
    }),
  );
});
