// What a holder makes of words over time (C10, E3, E5): what is active stays so, what supports it
// renews it, and neither silence nor a lying site (I16) does anything else.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Chain } from '../../../shared/control/chain.ts';
import { activated, receiveAll } from '../../../shared/control/holder.ts';
import { SEED, trustOfSites } from '../forge.ts';
import { newHolder } from '../kit.ts';
import { chainOf, NOW, type Said, say, type Word } from '../words.ts';

const three = await trustOfSites(3, 2);
const CHAIN = chainOf(1, 6);

const words = (...versions: readonly number[]): readonly Word[] =>
  versions.map((version, i) => ({ site: i + 1, version, issuedAt: NOW }));

const at = (site: number, version: number, agoMs: number, mode: 'live' | 'frozen' = 'live') => ({
  site,
  version,
  issuedAt: NOW - agoMs,
  changes: { mode },
});

function versionOf(link: { readonly version: bigint } | null): number | null {
  return link === null ? null : Number(link.version);
}

/** Two sites follow one history and never go back; the third says whatever its key can sign. */
const lies = fc.array(
  fc.oneof(
    fc.record({ honest: fc.constant(true), site: fc.constantFrom(1, 2), ahead: fc.nat(2) }),
    fc.record({
      honest: fc.constant(false),
      agent: fc.integer({ min: 1, max: 2 }),
      version: fc.integer({ min: 0, max: 9 }),
      fork: fc.constantFrom('right', 'right', 'fork'),
      mode: fc.constantFrom('live' as const, 'frozen' as const),
      skewMs: fc.constantFrom(-14_999, 0, 5_000),
    }),
  ),
  { maxLength: 30 },
);

test('law: one lying site of three makes nothing active, lowers and renews nothing', async () => {
  const property = fc.asyncProperty(lies, async (said) => {
    const { state, ...empty } = { ...newHolder(three).holder, chain: CHAIN };
    let [lied, honest] = [empty, empty];
    const reached = [0, 0, 0];
    let newestHonest = 0;
    for (const [i, one] of said.entries()) {
      const nowMs = NOW + i * 1_000;
      const signed = await (one.honest
        ? honestly(one.site, one.ahead, nowMs)
        : falsely(one, nowMs));
      const before = lied;
      lied = receiveAll({ ...lied, state }, [signed], nowMs).holder;
      if (one.honest) {
        honest = receiveAll({ ...honest, state }, [signed], nowMs).holder;
        newestHonest = nowMs;
      } else honest = activated(honest, nowMs);
      const active = versionOf(lied.active) ?? 0;
      expect(active).toBeLessThanOrEqual(Math.max(...reached));
      expect(active).toBeGreaterThanOrEqual(versionOf(before.active) ?? 0);
      expect(active).toBeGreaterThanOrEqual(versionOf(honest.active) ?? 0);
      expect(lied.freshAtMs).toBeGreaterThanOrEqual(before.freshAtMs);
      expect(lied.freshAtMs).toBeLessThanOrEqual(newestHonest);
    }
    function honestly(site: number, ahead: number, nowMs: number) {
      const version = Math.min(6, Math.max(1, (reached[site] ?? 0) + ahead));
      reached[site] = version;
      return say({ site, version, issuedAt: nowMs });
    }
  });
  await fc.assert(property, { seed: SEED, numRuns: 80 });
});

function falsely(
  lie: { agent: number; version: number; fork: string; mode: 'live' | 'frozen'; skewMs: number },
  nowMs: number,
): Promise<Said> {
  const { agent, version, fork, mode, skewMs } = lie;
  const changes = { mode, seq: BigInt(nowMs), commitIndex: 99n };
  return say({ site: 3, agent, version, fork, issuedAt: nowMs + skewMs, changes });
}

test.each<readonly [string, readonly Word[], number]>([
  ['nobody', [], 0],
  ['one site, in both of its agents', [at(1, 7, 0), { ...at(1, 7, 0), agent: 2 }], 0],
  // Attack: agents that cannot read version 7, or are cut off, keep version 6 young for ever.
  ['a threshold', [at(1, 7, 9_000), at(2, 7, 9_000)], 9_000],
  ['a threshold of two versions', [at(1, 7, 9_000), at(2, 8, 9_000)], 9_000],
])(
  'other agents renew what is held exactly as long as no threshold names more: %s does',
  async (_n, more, age) => {
    const { state, ...mirror } = { ...newHolder(three).holder, chain: CHAIN };
    const before = await Promise.all([at(1, 6, 9_000), at(2, 6, 9_000)].map(say));
    const renewing = [1, 2, 3].map((site) => ({ ...at(site, 6, 0, 'frozen'), agent: 2 }));
    const first = receiveAll({ ...mirror, state }, before, NOW - 9_000);
    const named = await Promise.all(
      more.map((word) => say({ ...word, issuedAt: word.issuedAt + 1 })),
    );
    const second = receiveAll(first.holder, named, NOW);
    const { holder } = receiveAll(second.holder, await Promise.all(renewing.map(say)), NOW);
    expect(NOW - holder.freshAtMs).toBe(age);
  },
);

test('law: once active stays so, and grows old in silence (E3, E5)', async () => {
  const { state, ...mirror } = { ...newHolder(three).holder, chain: CHAIN };
  const said = await Promise.all(words(3, 3, 3).map(say));
  const { holder } = receiveAll({ ...mirror, state }, said, NOW);
  fc.assert(
    fc.property(fc.array(fc.nat(20_000), { maxLength: 10 }), (pauses) => {
      let held = holder;
      let nowMs = NOW;
      for (const pause of pauses) {
        nowMs += pause;
        held = activated(held, nowMs);
        expect(versionOf(held.active)).toBe(3);
        expect(nowMs - held.freshAtMs).toBe(nowMs - NOW);
      }
    }),
    { seed: SEED, numRuns: 50 },
  );
});

test('a shorter chain than before takes nothing that is active away', async () => {
  const mirror = { ...newHolder(three).holder, chain: CHAIN };
  const said = await Promise.all(words(5, 5, 5).map(say));
  const { holder } = receiveAll(mirror, said, NOW);
  const shorter: Chain = CHAIN.slice(0, 2);
  expect(versionOf(activated({ ...holder, chain: shorter }, NOW).active)).toBe(5);
});
