// Which version is active (C10), how old the words for it are (E3), and what contradicts it:
// counted again from plain lists.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  activeLink,
  attestedCommitIndex,
  contradiction,
  type Evidence,
  supportedAtMs,
} from '../../../shared/control/activation.ts';
import {
  type AttestationBook,
  EMPTY_BOOK,
  receiveAttestation,
} from '../../../shared/control/attestation.ts';
import type { Chain } from '../../../shared/control/chain.ts';

import type { Trust } from '../../../shared/control/trust.ts';
import { SEED, trustOfSites } from '../forge.ts';

import { chainOf, NOW, type Said, say, type Word } from '../words.ts';

const three = await trustOfSites(3, 2);
const five = await trustOfSites(5, 2);

const CHAIN = chainOf(1, 6);

async function evidenceOf(
  words: readonly Word[],
  { trust = three, chain = CHAIN, nowMs = NOW }: Partial<Evidence> = {},
): Promise<Evidence> {
  let book: AttestationBook = EMPTY_BOOK;
  for (const signed of await Promise.all(words.map(say))) {
    const next = receiveAttestation(book, signed, trust, nowMs);
    if ('code' in next) throw new Error(`${next.code}: ${next.detail}`);
    book = next;
  }
  return { chain, book, trust, nowMs };
}

const words = (...versions: readonly number[]): readonly Word[] =>
  versions.map((version, i) => ({ site: i + 1, version, issuedAt: NOW }));

function versionOf(link: { readonly version: bigint } | null): number | null {
  return link === null ? null : Number(link.version);
}

test.each<readonly [string, readonly Word[], number | null]>([
  ['nobody', [], null],
  ['one site', words(3), null],
  ['two sites of one version', words(3, 3), 3],
  ['two sites of two versions: the lower', words(3, 5), 3],
  ['three sites: the second highest', words(2, 3, 5), 3],
  ['two behind one', words(3, 3, 6), 3],
  ['one behind two', words(1, 6, 6), 6],
  ['two names of a version that is not held', words(7, 7), null],
  ['one of them held', words(7, 3), null],
  ['two of three held', words(7, 3, 4), 3],
  ['a version 0', words(0, 3), null],
  ['two agents of one site', [...words(3), { site: 1, agent: 2, version: 3, issuedAt: NOW }], null],
  [
    'two agents of one site and another',
    [
      { site: 1, version: 2, issuedAt: NOW },
      { site: 1, agent: 2, version: 5, issuedAt: NOW },
      { site: 2, version: 6, issuedAt: NOW },
    ],
    5,
  ],
  [
    'the name of a version with another digest',
    [
      { site: 1, version: 3, fork: 'fork', issuedAt: NOW },
      { site: 2, version: 3, issuedAt: NOW },
    ],
    null,
  ],
  [
    'another generation',
    [
      { site: 1, version: 3, issuedAt: NOW, changes: { generation: 2n } },
      { site: 2, version: 3, issuedAt: NOW },
    ],
    null,
  ],
  [
    'a site that contradicts itself',
    [
      { site: 1, version: 3, issuedAt: NOW },
      { site: 1, version: 3, fork: 'fork', issuedAt: NOW + 1 },
      { site: 2, version: 3, issuedAt: NOW },
    ],
    null,
  ],
  [
    'frozen words, on a holder that starts (E6)',
    words(3, 3).map((one) => {
      return { ...one, changes: { mode: 'frozen' } };
    }),
    3,
  ],
])('what is active by the word of %s: %s', async (_name, said, active) => {
  expect(versionOf(activeLink(await evidenceOf(said)))).toBe(active);
});

test('a chain that begins later counts what it holds', async () => {
  const chain = CHAIN.slice(3);
  expect(versionOf(activeLink(await evidenceOf(words(3, 5, 6), { chain })))).toBe(5);
  expect(activeLink(await evidenceOf(words(3, 3, 6), { chain }))).toBe(null);
});

test('with five sites three must agree', async () => {
  expect(activeLink(await evidenceOf(words(3, 3), { trust: five }))).toBe(null);
  expect(versionOf(activeLink(await evidenceOf(words(3, 4, 5), { trust: five })))).toBe(3);
  expect(versionOf(activeLink(await evidenceOf(words(1, 2, 4, 5, 6), { trust: five })))).toBe(4);
});

const at = (site: number, version: number, agoMs: number, mode: 'live' | 'frozen' = 'live') => ({
  site,
  version,
  issuedAt: NOW - agoMs,
  changes: { mode },
});

test.each<readonly [string, readonly Word[], number | null]>([
  ['one site', [at(1, 3, 0)], null],
  ['two sites: the older', [at(1, 3, 4_000), at(2, 3, 1_000)], 4_000],
  ['three sites: the second newest', [at(1, 3, 9_000), at(2, 3, 4_000), at(3, 3, 1_000)], 4_000],
  ['sites that are further', [at(1, 6, 4_000), at(2, 4, 1_000)], 4_000],
  ['a site that is behind', [at(1, 3, 4_000), at(2, 2, 1_000)], null],
  // E3: once a threshold names a version that is not held, nothing renews what is.
  ['a site that names what is not held', [at(1, 3, 4_000), at(2, 7, 1_000)], null],
  // The quorum was lost while a commit was on its way: nobody reads, and traffic goes on (E6).
  [
    'frozen sites, and one that had read more',
    [at(1, 3, 4_000, 'frozen'), at(2, 3, 1_000, 'frozen'), at(3, 6, 0, 'frozen')],
    1_000,
  ],
  ['frozen sites alone', [at(1, 3, 4_000, 'frozen'), at(2, 4, 1_000, 'frozen')], 4_000],
  // Two sites cannot read what a third reads now: a suspension, say.
  [
    'frozen sites behind what another reads',
    [at(1, 3, 0, 'frozen'), at(2, 3, 0, 'frozen'), at(3, 6, 2_000)],
    null,
  ],
  [
    'frozen sites, and one whose live word is of another history',
    [at(1, 3, 0, 'frozen'), at(2, 3, 0, 'frozen'), { ...at(3, 6, 0), fork: 'fork' }],
    0,
  ],
  ['frozen sites at the newest held', [at(1, 6, 2_000, 'frozen'), at(2, 6, 0, 'frozen')], 2_000],
  ['one frozen and one live', [at(1, 3, 0, 'frozen'), at(2, 3, 0)], 0],
  ['one frozen and one live beyond it', [at(1, 3, 0, 'frozen'), at(2, 5, 0)], null],
  [
    'one frozen and two live beyond it',
    [at(1, 3, 0, 'frozen'), at(2, 4, 3_000), at(3, 4, 0)],
    3_000,
  ],
  [
    'the newer of two agents',
    [at(1, 3, 9_000), { ...at(1, 3, 1_000), agent: 2 }, at(2, 3, 0)],
    1_000,
  ],
])('version 3 of 6 is as old as the word of %s', async (_name, said, ageMs) => {
  const link = CHAIN[2];
  if (link === undefined) throw new Error('no link');
  const supported = supportedAtMs(link, await evidenceOf(said));
  expect(supported === null ? null : NOW - supported).toBe(ageMs);
});

test.each<readonly [string, readonly bigint[], bigint | null]>([
  ['one site', [7n], null],
  ['two that agree', [7n, 7n], 7n],
  ['two that differ', [7n, 8n], null],
  ['two of three', [8n, 7n, 7n], 7n],
])('the commit index by the word of %s', async (_name, indexes, index) => {
  const said = indexes.map((commitIndex, i) => {
    return { site: i + 1, version: 3, issuedAt: NOW, changes: { commitIndex } };
  });
  const link = CHAIN[2];
  if (link === undefined) throw new Error('no link');
  expect(attestedCommitIndex(link, await evidenceOf(said))).toBe(index);
});

test('the commit index does not depend on whose word came first (S4)', async () => {
  const indexed = (site: number, agent: number, commitIndex: bigint): Word => {
    return { site, agent, version: 3, issuedAt: NOW, changes: { commitIndex } };
  };
  const said = [indexed(1, 1, 7n), indexed(1, 2, 8n), indexed(2, 1, 7n)];
  const link = CHAIN[2];
  if (link === undefined) throw new Error('no link');
  const one = attestedCommitIndex(link, await evidenceOf(said));
  const other = attestedCommitIndex(link, await evidenceOf(said.toReversed()));
  expect(one).toBe(other);
});

const FORKED: Chain = [...chainOf(1, 3), ...chainOf(4, 4, 'fork')];
const other = (site: number, version: number, fork = 'right', agent = 1): Word => {
  return { site, agent, version, fork, issuedAt: NOW };
};

// C9, I16: a store that was handed a fork finds out by the word of a threshold, never of one site.
test.each<readonly [string, readonly Word[], number | null]>([
  ['nobody', [], null],
  ['one site', [other(1, 4)], null],
  ['two agents of one site', [other(1, 4), other(1, 4, 'right', 2)], null],
  ['two sites', [other(1, 4), other(2, 4)], 4],
  ['two sites, while one stands by it', [other(1, 4), other(2, 4), other(3, 4, 'fork')], 4],
  ['two sites that differ', [other(1, 4), other(2, 4, 'third')], null],
  ['two sites that stand by it', [other(1, 4, 'fork'), other(2, 4, 'fork')], null],
  ['two sites of what was active', [other(1, 3, 'fork'), other(2, 3, 'fork')], null],
  ['two sites of what is not held', [other(1, 5), other(2, 5)], null],
])('a commit beyond the active one is contradicted by %s: %s', async (_name, said, fork) => {
  const evidence = await evidenceOf(said, { chain: FORKED });
  expect(versionOf(contradiction(FORKED[2] ?? null, evidence))).toBe(fork);
  expect(contradiction(FORKED[3] ?? null, evidence)).toBe(null);
});

test('what was never active may be contradicted from the first version on', async () => {
  const evidence = await evidenceOf([other(1, 3, 'fork'), other(2, 3, 'fork')]);
  expect(versionOf(contradiction(null, evidence))).toBe(3);
});

test('a contradiction ends with the words that made it', async () => {
  const evidence = await evidenceOf([other(1, 4), other(2, 4)], { chain: FORKED });
  const later = { ...evidence, nowMs: NOW + 15_000 };
  expect(contradiction(FORKED[2] ?? null, later)).toBe(null);
});

const steps = (sites: number) =>
  fc.array(
    fc.record({
      site: fc.integer({ min: 1, max: sites }),
      agent: fc.integer({ min: 1, max: 2 }),
      version: fc.integer({ min: 1, max: 8 }),
      // One of eight words is of a fork.
      fork: fc.nat(7).map((n) => (n === 0 ? 'fork' : 'right')),
      frozen: fc.boolean(),
      passMs: fc.constantFrom(0, 1, 2_000, 9_000),
    }),
    { maxLength: 25 },
  );

test.each([
  ['three', three],
  ['five', five],
])(
  'law: with %s sites, active is the highest version that a threshold names or has passed',
  async (_n, trust) => {
    const property = fc.asyncProperty(steps(trust.sites.length), async (said) => {
      let book = EMPTY_BOOK;
      const twin: { signed: Said; untilMs: number }[] = [];
      let nowMs = NOW;
      for (const { passMs, frozen, ...word } of said) {
        nowMs += passMs;
        const mode = frozen ? 'frozen' : 'live';
        const signed = await say({ ...word, issuedAt: nowMs, changes: { mode } });
        const next = receiveAttestation(book, signed, trust, nowMs);
        if (!('code' in next)) {
          book = next;
          twin.push({ signed, untilMs: nowMs + 15_000 });
        }
        const evidence = { chain: CHAIN, book, trust, nowMs };
        expect(versionOf(activeLink(evidence))).toBe(countedActive(twin, trust, nowMs));
      }
    });
    await fc.assert(property, { seed: SEED, numRuns: 60 });
  },
);

/** C10 again, by trying every version from the top. */
function countedActive(
  heard: readonly { signed: Said; untilMs: number }[],
  trust: Trust,
  nowMs: number,
): number | null {
  const liars = new Set(
    heard.flatMap(({ signed: { value: a } }) =>
      heard.some(({ signed: { value: b } }) => {
        return a.site === b.site && a.version === b.version && a.envelope !== b.envelope;
      })
        ? [a.site]
        : [],
    ),
  );
  const last = heard.filter(({ signed: { kids } }, i) => {
    return !heard.slice(i + 1).some((later) => later.signed.kids[0] === kids[0]);
  });
  const counting = last.filter(({ signed, untilMs }) => {
    const link = CHAIN.find(({ version }) => version === signed.value.version);
    return (
      untilMs > nowMs && !liars.has(signed.value.site) && link?.digest === signed.value.envelope
    );
  });
  for (let version = 6; version >= 1; version--) {
    const behind = counting.filter(({ signed }) => signed.value.version >= version);
    if (new Set(behind.map(({ signed }) => signed.value.site)).size >= trust.threshold)
      return version;
  }
  return null;
}
