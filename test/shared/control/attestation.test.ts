// Attestations (H3, C10): whose word counts, for how long, and that a site which contradicts itself
// counts for none (I16).

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonical } from '../../../shared/canonical.ts';
import {
  type Attestation,
  type AttestationBook,
  attestationKind,
  attestationSchema,
  EMPTY_BOOK,
  isHeld,
  mergedBooks,
  receiveAttestation,
  receiveAttestations,
  validBySite,
} from '../../../shared/control/attestation.ts';
import type { Trust } from '../../../shared/control/trust.ts';
import {
  ATTESTATION_LIFE_MS,
  CLOCK_SKEW_MS,
  SIGHTINGS_PER_SITE_MAX,
} from '../../../shared/limits.ts';
import {
  agentOf,
  alice,
  codeOf,
  SEED,
  signText,
  trustOfSites,
  verifiedByAny,
  vouched,
} from '../forge.ts';
import { NOW, type Said, say, type Word } from '../words.ts';

const trust: Trust = await trustOfSites(3, 2);

/** The book after all that was said; throws on a refusal. */
function heard(book: AttestationBook, said: readonly Said[], nowMs = NOW): AttestationBook {
  let next = book;
  for (const signed of said) {
    const outcome = receiveAttestation(next, signed, trust, nowMs);
    if ('code' in outcome) throw new Error(`${outcome.code}: ${outcome.detail}`);
    next = outcome;
  }
  return next;
}

const all = (words: readonly Word[]) => Promise.all(words.map(say));

function sitesOf(book: AttestationBook, nowMs = NOW): readonly string[] {
  return [...validBySite(book, trust, nowMs).keys()].toSorted();
}

const WORD: Word = { site: 1, version: 3, issuedAt: NOW };

test.each<readonly [string, Partial<Attestation>, string]>([
  ['as it should be', {}, 'taken'],
  ['in the name of another site (I16)', { site: 's2', agent: 's2-1' }, 'site'],
  ['in the name of a site that is not there', { site: 's9' }, 'site'],
  ['in the name of another agent of its site', { agent: 's1-2' }, 'author'],
  ['for another cluster', { cluster: 'other' }, 'cluster'],
  ['that lives longer than 15 s', { expiresAt: NOW + 15_001 }, 'attestation-life'],
  ['that expires as it is issued', { expiresAt: NOW }, 'attestation-life'],
  ['that expires before it is issued', { expiresAt: NOW - 1 }, 'attestation-life'],
])('an attestation %s: %s', async (_name, changes, code) => {
  const signed = await say({ ...WORD, changes });
  const before = canonical([...EMPTY_BOOK.latest, ...EMPTY_BOOK.sightings]);
  expect(codeOf(receiveAttestation(EMPTY_BOOK, signed, trust, NOW))).toBe(code);
  expect(canonical([...EMPTY_BOOK.latest, ...EMPTY_BOOK.sightings])).toBe(before);
});

test('only an agent attests: any other role is refused', async () => {
  const { value } = await say(WORD);
  const roles = [...trust.roles].filter(([, role]) => role.kind !== 'agent');
  expect(roles.length).toBeGreaterThan(5);
  for (const [kid, { kind, name }] of roles) {
    const signed = await vouched(attestationKind, { ...value, agent: name }, kid);
    const code = codeOf(receiveAttestation(EMPTY_BOOK, signed, trust, NOW));
    expect([kind, code]).toEqual([kind, 'role']);
  }
});

test('one agent attests: two signatures are refused, whoever gave the second', async () => {
  const text = canonical((await say(WORD)).value);
  for (const other of [agentOf(1, 2), agentOf(2, 1), alice]) {
    const jws = await signText(attestationKind.typ, text, [agentOf(1, 1), other]);
    const signed = await verifiedByAny(jws, attestationKind, trust);
    expect(codeOf(receiveAttestation(EMPTY_BOOK, signed, trust, NOW))).toBe('author');
  }
});

test.each([
  [NOW, 'taken'],
  [NOW + CLOCK_SKEW_MS, 'taken'],
  [NOW + CLOCK_SKEW_MS + 1, 'attestation-clock'],
  [NOW - ATTESTATION_LIFE_MS + 1, 'taken'],
  [NOW - ATTESTATION_LIFE_MS, 'attestation-expired'],
  [NOW - 60_000, 'attestation-expired'],
])(
  'issued at %d, received at 1,790,000,000,000: %s (H3: clocks differ by 5 s)',
  async (at, code) => {
    const signed = await say({ ...WORD, issuedAt: at });
    expect(codeOf(receiveAttestation(EMPTY_BOOK, signed, trust, NOW))).toBe(code);
  },
);

test.each([1, ATTESTATION_LIFE_MS])('a life of %d ms is taken', async (life) => {
  const signed = await say({ ...WORD, changes: { expiresAt: NOW + life } });
  expect(codeOf(receiveAttestation(EMPTY_BOOK, signed, trust, NOW))).toBe('taken');
});

test('an expired attestation counts for nothing', async () => {
  const book = heard(EMPTY_BOOK, await all([WORD]));
  expect(sitesOf(book, NOW + ATTESTATION_LIFE_MS - 1)).toEqual(['s1']);
  expect(sitesOf(book, NOW + ATTESTATION_LIFE_MS)).toEqual([]);
});

test('the word of a fast clock counts for 15 s after receipt, not longer (H3)', async () => {
  const book = heard(EMPTY_BOOK, await all([{ ...WORD, issuedAt: NOW + CLOCK_SKEW_MS }]));
  expect(sitesOf(book, NOW + ATTESTATION_LIFE_MS - 1)).toEqual(['s1']);
  expect(sitesOf(book, NOW + ATTESTATION_LIFE_MS)).toEqual([]);
});

// Attack: replay of an older word, to bring an older version back.
test.each([
  [0n, 'attestation-old'],
  [-1n, 'attestation-old'],
  [1n, 'taken'],
])('a seq that differs by %s from the one held: %s', async (by, code) => {
  const book = heard(EMPTY_BOOK, await all([WORD]));
  const next = await say({ ...WORD, version: 2, changes: { seq: BigInt(NOW) + by, term: 1n } });
  expect(codeOf(receiveAttestation(book, next, trust, NOW))).toBe(code);
});

test('agents count their seq apart', async () => {
  const other = { ...WORD, agent: 2, changes: { seq: 1n } };
  expect(heard(EMPTY_BOOK, await all([WORD, other])).latest.size).toBe(2);
});

test('the newest word of an agent replaces an older one that said the same', async () => {
  const [first, second] = await all([WORD, { ...WORD, issuedAt: NOW + 2_000 }]);
  if (first === undefined || second === undefined) throw new Error('nothing said');
  const book = heard(heard(EMPTY_BOOK, [first]), [second], NOW + 2_000);
  expect([...book.latest.values()].map(({ signed }) => signed)).toEqual([second]);
  expect([isHeld(book, first.digest), isHeld(book, second.digest)]).toEqual([false, true]);
  expect(sitesOf(book, NOW + ATTESTATION_LIFE_MS + 1_999)).toEqual(['s1']);
});

test('the newest word of an agent replaces an older one of an older version', async () => {
  const [first, second] = await all([WORD, { ...WORD, version: 4, issuedAt: NOW + 2_000 }]);
  if (first === undefined || second === undefined) throw new Error('nothing said');
  const book = heard(heard(EMPTY_BOOK, [first]), [second], NOW + 2_000);
  expect([isHeld(book, first.digest), isHeld(book, second.digest)]).toEqual([false, true]);
});

const FORK: Word = { ...WORD, fork: 'fork', issuedAt: NOW + 1 };

test.each<readonly [string, readonly Word[]]>([
  ['its one agent', [WORD, FORK]],
  ['its two agents', [WORD, { ...FORK, agent: 2 }]],
  [
    'one agent, with others between',
    [WORD, { ...WORD, version: 4, issuedAt: NOW + 1 }, { ...FORK, issuedAt: NOW + 2 }],
  ],
  [
    'the second agent, after both said the same',
    [WORD, { ...WORD, agent: 2 }, { ...FORK, agent: 2 }],
  ],
])(
  'a site that attests two digests for one version, by %s, counts for none',
  async (_name, words) => {
    const honest = { ...WORD, site: 2 };
    const book = heard(EMPTY_BOOK, await all([...words, honest]));
    expect([...book.equivocators]).toEqual(['s1']);
    expect(sitesOf(book)).toEqual(['s2']);
  },
);

test('the word by which a site contradicts itself is told, once', async () => {
  const honest = { ...WORD, site: 2 };
  const again = { ...FORK, version: 4, issuedAt: NOW + 9 };
  const said = await all([WORD, FORK, again, honest]);
  const { book, refused } = receiveAttestations(EMPTY_BOOK, said, trust, NOW);
  const detail = 's1 attests two digests for version 3';
  expect(refused).toEqual([{ kind: 'refused', code: 'equivocation', detail }]);
  expect(sitesOf(book)).toEqual(['s2']);
});

test('a site that contradicted itself does not come back by saying one thing (C10)', async () => {
  const later = { ...WORD, version: 9, issuedAt: NOW + 5, agent: 2 };
  const book = heard(EMPTY_BOOK, await all([WORD, FORK, later]));
  expect(sitesOf(book)).toEqual([]);
});

test('two sites that differ are two words, not a contradiction', async () => {
  const book = heard(EMPTY_BOOK, await all([WORD, { ...FORK, site: 2 }]));
  expect(book.equivocators.size).toBe(0);
});

test('the same number in another generation is another version (I2)', async () => {
  const recovered = { ...FORK, changes: { generation: 2n } };
  expect(heard(EMPTY_BOOK, await all([WORD, recovered])).equivocators.size).toBe(0);
});

test.each([
  [SIGHTINGS_PER_SITE_MAX - 1, ['s1']],
  [SIGHTINGS_PER_SITE_MAX, []],
])('after %d other versions a contradiction is noticed by: %j', async (others, equivocators) => {
  const between = Array.from({ length: others }, (_, i) => {
    return { ...WORD, version: 100 + i, issuedAt: NOW + 1 + i };
  });
  const book = heard(EMPTY_BOOK, await all([WORD, ...between, { ...FORK, issuedAt: NOW + 100 }]));
  expect([...book.equivocators]).toEqual(equivocators);
  expect(book.sightings.get('s1')?.size).toBe(SIGHTINGS_PER_SITE_MAX);
});

// Attack: one agent holds its word, the other floods until that is forgotten, then contradicts it.
test('a word that still counts is not forgotten, whatever is named after it', async () => {
  const flood = Array.from({ length: SIGHTINGS_PER_SITE_MAX }, (_, i) => {
    return { ...WORD, agent: 2, version: 100 + i, issuedAt: NOW + 1 + i };
  });
  const words = [WORD, ...flood, { ...FORK, agent: 2, issuedAt: NOW + 100 }];
  expect([...heard(EMPTY_BOOK, await all(words)).equivocators]).toEqual(['s1']);
});

test('a site that trust does not name any more counts for nothing', async () => {
  const book = heard(EMPTY_BOOK, await all([WORD, { ...WORD, site: 3 }]));
  const smaller = await trustOfSites(2, 2);
  expect([...validBySite(book, smaller, NOW).keys()]).toEqual(['s1']);
});

test('law: receiving leaves the book before as it was', async () => {
  const words = fc.array(
    fc.record({
      site: fc.integer({ min: 1, max: 3 }),
      agent: fc.integer({ min: 1, max: 2 }),
      version: fc.integer({ min: 1, max: 3 }),
      fork: fc.constantFrom('right', 'fork'),
      issuedAt: fc.integer({ min: NOW - 20_000, max: NOW + 10_000 }),
    }),
    { maxLength: 12 },
  );
  const property = fc.asyncProperty(words, async (some) => {
    let book = EMPTY_BOOK;
    for (const signed of await all(some)) {
      const before = textOf(book);
      const next = receiveAttestation(book, signed, trust, NOW);
      expect(textOf(book)).toBe(before);
      if ('code' in next) continue;
      const kid = signed.kids[0] ?? '';
      expect(next.latest.get(kid)?.signed).toBe(signed);
      expect(next.latest.get(kid)?.validUntilMs).toBeLessThanOrEqual(NOW + ATTESTATION_LIFE_MS);
      expect(new Set(next.equivocators).isSupersetOf(new Set(book.equivocators))).toBe(true);
      book = next;
    }
  });
  await fc.assert(property, { seed: SEED, numRuns: 100 });
});

/** `base` and what of `words` it takes. */
function hearing(base: AttestationBook, words: readonly Said[]): AttestationBook {
  return words.reduce((book, signed) => {
    const next = receiveAttestation(book, signed, trust, NOW);
    return 'code' in next ? book : next;
  }, base);
}

/** Sites that named two digests for one version in these books, one by one and together. */
function contradicting(...books: readonly AttestationBook[]): ReadonlySet<string> {
  const sites = new Set(books.flatMap(({ equivocators }) => [...equivocators]));
  const named = new Map<string, string>();
  for (const { sightings } of books) {
    for (const [site, places] of sightings) {
      for (const [place, digest] of places) {
        const before = named.get(`${site} ${place}`) ?? digest;
        if (before !== digest) sites.add(site);
        named.set(`${site} ${place}`, digest);
      }
    }
  }
  return sites;
}

test('law: two books that grew apart make one that knows what each knew', async () => {
  const words = fc.array(
    fc.record({
      site: fc.integer({ min: 1, max: 3 }),
      agent: fc.integer({ min: 1, max: 2 }),
      version: fc.integer({ min: 1, max: 3 }),
      fork: fc.constantFrom('right', 'right', 'right', 'fork'),
      issuedAt: fc.integer({ min: NOW - 5, max: NOW + 5 }),
    }),
    { maxLength: 6 },
  );
  const property = fc.asyncProperty(words, words, words, async (common, some, others) => {
    const base = hearing(EMPTY_BOOK, await all(common));
    const [own, other] = [hearing(base, await all(some)), hearing(base, await all(others))];
    const before = [textOf(own), textOf(other)];
    const merged = mergedBooks(own, other);
    expect([textOf(own), textOf(other)]).toEqual(before);
    expect(textOf(mergedBooks(own, own))).toBe(textOf(own));
    expect(merged.equivocators).toEqual(contradicting(own, other));
    for (const book of [own, other]) {
      for (const [kid, { signed }] of book.latest) {
        const { seq } = merged.latest.get(kid)?.signed.value ?? { seq: -1n };
        expect(seq).toBeGreaterThanOrEqual(signed.value.seq);
      }
      for (const [site, places] of book.sightings) {
        const kept = [...(merged.sightings.get(site)?.keys() ?? [])];
        expect(kept).toEqual(expect.arrayContaining([...places.keys()]));
      }
    }
    expect(merged.latest.size).toBe(new Set([...own.latest.keys(), ...other.latest.keys()]).size);
  });
  await fc.assert(property, { seed: SEED, numRuns: 100 });
});

test('two books make one of SIGHTINGS_PER_SITE_MAX sightings a site', async () => {
  const from = (version: number) =>
    Array.from({ length: SIGHTINGS_PER_SITE_MAX }, (_, i) => {
      return { ...WORD, version: version + i, issuedAt: NOW + i };
    });
  const [own, other] = await Promise.all([all(from(100)), all(from(101))]);
  const merged = mergedBooks(heard(EMPTY_BOOK, own), heard(EMPTY_BOOK, other));
  const places = [...(merged.sightings.get('s1')?.keys() ?? [])];
  expect([places.length, places.at(-1)]).toEqual([SIGHTINGS_PER_SITE_MAX, '1/164']);
});

// The word is held, its sighting was evicted by others.
test('a word that still counts contradicts what the other book saw', async () => {
  const flood = Array.from({ length: SIGHTINGS_PER_SITE_MAX }, (_, i) => {
    return { ...WORD, agent: 2, version: 100 + i, issuedAt: NOW + 1 + i };
  });
  const flooded = heard(EMPTY_BOOK, await all([WORD, ...flood]));
  const forked = heard(EMPTY_BOOK, await all([{ ...FORK, agent: 2 }]));
  for (const merged of [mergedBooks(flooded, forked), mergedBooks(forked, flooded)]) {
    expect([...merged.equivocators]).toEqual(['s1']);
  }
});

function textOf({ latest, sightings, equivocators }: AttestationBook): string {
  const digests = [...latest].map(([kid, { signed }]) => [kid, signed.digest]);
  const seen = [...sightings].map(([site, places]) => [site, [...places]]);
  return canonical([digests, seen, [...equivocators]]);
}

test.each<readonly [string, Record<string, unknown>]>([
  ['a field of a later version', { later: 1 }],
  ['a number for its seq', { seq: 1 }],
  ['a time before 1970', { issuedAt: -1 }],
  ['half a millisecond', { issuedAt: 0.5 }],
  ['another mode', { mode: 'thawed' }],
  ['a verdict that no observer gives', { observations: { regions: { eu1: 'unknown' } } }],
  ['observations of a later kind', { observations: { regions: {}, zones: {} } }],
  ['a load over 1', { load: { eu1: 1.01 } }],
  ['a load under 0', { load: { eu1: -0.01 } }],
  ['no envelope', { envelope: null }],
])('an attestation with %s is malformed', async (_name, changes) => {
  const wire = JSON.parse(canonical((await say(WORD)).value)) as object;
  expect(attestationSchema.safeParse(wire).success).toBe(true);
  expect(attestationSchema.safeParse({ ...wire, ...changes }).success).toBe(false);
});

test('a load is a share, from nothing to all', async () => {
  const wire = JSON.parse(canonical((await say(WORD)).value)) as object;
  const load = { eu1: 0, us1: 1, ap1: 0.5 };
  expect(attestationSchema.safeParse({ ...wire, load }).success).toBe(true);
});
