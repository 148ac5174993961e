// The verdict on a region (H4): a majority of ALL sites, silent ones included, calls it up or down.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Attestation, Observation } from '../../../shared/control/attestation.ts';
import { regionVerdict, type Verdict } from '../../../shared/health/verdict.ts';
import { SEED } from '../forge.ts';

/** u up, g degraded, d down, x has no word on this region, - is silent. */
type Vote = 'u' | 'g' | 'd' | 'x' | '-';

const OBSERVED: Readonly<Record<string, Observation>> = { u: 'up', g: 'degraded', d: 'down' };

function word(vote: Vote, issuedAt = 1, agent = 'a'): Attestation {
  const observation = OBSERVED[vote];
  const regions = observation === undefined ? { us1: 'up' } : { eu1: observation, us1: 'up' };
  return { agent, issuedAt, observations: { regions } } as unknown as Attestation;
}

const sitesOf = (count: number) => Array.from({ length: count }, (_, i) => `s${i + 1}`);

function verdictOf(votes: readonly Vote[]): Verdict {
  const words = votes.flatMap((vote, i) => {
    return vote === '-' ? [] : [[`s${i + 1}`, [word(vote)]] as const];
  });
  return regionVerdict('eu1', new Map(words), sitesOf(votes.length));
}

function read(votes: string): readonly Vote[] {
  return [...votes] as Vote[];
}

const UP = ['uuu', 'uu-', 'uud', 'uug', 'uux', 'uuuuu', 'uuu--', 'uuudd', 'uuugd'];
const DOWN = ['ddd', 'dd-', 'ddu', 'ddg', 'ddx', 'ddddd', 'ddd--', 'ddduu', 'ddd-u'];
const DEGRADED = [
  'ggg',
  'gg-',
  'ggd',
  'ugg',
  'ug-',
  'ugd',
  'ugx',
  'uug--',
  'uugdd',
  'ggg--',
  'ugg-d',
];
const UNKNOWN = [
  ...['---', 'u--', 'd--', 'g--', 'ud-', 'gd-', 'udx', 'xxx', 'u-x'],
  ...['-----', 'uu---', 'dd---', 'uudd-', 'ugdd-', 'ggdd-', 'uu-d-', 'dd-g-', 'uuddx', 'ddxxx'],
];
const TABLE: readonly (readonly [string, Verdict])[] = [
  ...UP.map((votes) => [votes, 'up'] as const),
  ...DOWN.map((votes) => [votes, 'down'] as const),
  ...DEGRADED.map((votes) => [votes, 'degraded'] as const),
  ...UNKNOWN.map((votes) => [votes, 'unknown'] as const),
];

test.each(TABLE)('%s is %s', (votes, verdict) => {
  expect(verdictOf(read(votes))).toBe(verdict);
  expect(verdictOf(read(votes).toReversed())).toBe(verdict);
});

test('with four sites three must agree, and half is no majority', () => {
  const votes = ['uu--', 'uudd', 'uuu-', 'ddd-', 'uug-', 'ugdd'];
  expect(votes.map((text) => verdictOf(read(text)))).toEqual([
    'unknown',
    'unknown',
    'up',
    'down',
    'degraded',
    'unknown',
  ]);
});

test('a region that nobody speaks of is unknown', () => {
  const words = new Map(sitesOf(3).map((site) => [site, [word('u')]]));
  expect(regionVerdict('ap1', words, sitesOf(3))).toBe('unknown');
});

test('a site that trust does not name has no vote', () => {
  const words = new Map(['s1', 'x1', 'x2'].map((site) => [site, [word('u')]]));
  expect(regionVerdict('eu1', words, sitesOf(3))).toBe('unknown');
});

test('the newest word of a site speaks for it', () => {
  const words = (own: readonly Attestation[]) =>
    new Map([
      ['s1', own],
      ['s2', [word('u')]],
    ] as const);
  const [before, after] = [word('u', 1, 'a'), word('d', 2, 'b')];
  expect(regionVerdict('eu1', words([before, after]), sitesOf(3))).toBe('unknown');
  expect(regionVerdict('eu1', words([after, before]), sitesOf(3))).toBe('unknown');
  expect(regionVerdict('eu1', words([word('x', 3, 'c'), before]), sitesOf(3))).toBe('unknown');
});

// H7, S4: edges hear agents in different orders, and must not disagree for it.
test('two agents that speak in one millisecond give one verdict, whoever came first', () => {
  const own = [word('u', 5, 'a'), word('d', 5, 'b')];
  const verdicts = [own, own.toReversed()].map((words) => {
    return regionVerdict(
      'eu1',
      new Map([
        ['s1', words],
        ['s2', [word('u')]],
      ]),
      sitesOf(3),
    );
  });
  expect(verdicts[0]).toBe(verdicts[1]);
});

const vote = fc.constantFrom<Vote>('u', 'g', 'd', 'x', '-');
const ballots = fc.array(vote, { minLength: 1, maxLength: 9 });

test('law: the verdict is counted, whoever voted', () => {
  fc.assert(
    fc.property(ballots, (votes) => {
      const share = (some: string) => votes.filter((one) => some.includes(one)).length * 2;
      const verdict = verdictOf(votes);
      expect(verdict === 'down').toBe(share('d') > votes.length);
      expect(verdict === 'up').toBe(share('u') > votes.length);
      expect(verdict === 'degraded').toBe(share('ug') > votes.length && verdict !== 'up');
    }),
    { seed: SEED, numRuns: 500 },
  );
});

test('law: one more vote for up never turns up into something else', () => {
  fc.assert(
    fc.property(ballots, fc.nat(8), (votes, at) => {
      const more = votes.with(at % votes.length, 'u');
      if (verdictOf(votes) === 'up') expect(verdictOf(more)).toBe('up');
      if (verdictOf(votes) !== 'down') expect(verdictOf(more)).not.toBe('down');
    }),
    { seed: SEED, numRuns: 500 },
  );
});

test('law: a site that falls silent makes nothing up and nothing down', () => {
  fc.assert(
    fc.property(ballots, fc.nat(8), (votes, at) => {
      const less = verdictOf(votes.with(at % votes.length, '-'));
      if (less !== 'unknown') expect([verdictOf(votes), 'degraded', 'up']).toContain(less);
      if (verdictOf(votes) === 'unknown') expect(less).toBe('unknown');
    }),
    { seed: SEED, numRuns: 500 },
  );
});

test('law: where all other sites agree, one site’s word changes nothing (I16)', () => {
  const many = fc.integer({ min: 3, max: 9 });
  fc.assert(
    fc.property(
      many,
      fc.constantFrom<Vote>('u', 'g', 'd'),
      fc.nat(8),
      vote,
      (sites, all, at, lie) => {
        const votes = Array.from({ length: sites }, () => all);
        expect(verdictOf(votes.with(at % sites, lie))).toBe(verdictOf(votes));
      },
    ),
    { seed: SEED, numRuns: 300 },
  );
});

test('law: what a majority without a site says, that site’s word does not change (I16)', () => {
  fc.assert(
    fc.property(ballots, fc.nat(8), vote, vote, (votes, at, one, other) => {
      const silent = verdictOf(votes.with(at % votes.length, '-'));
      const said = [one, other].map((word) => verdictOf(votes.with(at % votes.length, word)));
      if (silent === 'up') expect(said).toEqual(['up', 'up']);
      if (silent === 'down') expect(said).toEqual(['down', 'down']);
    }),
    { seed: SEED, numRuns: 500 },
  );
});
