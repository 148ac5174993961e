// What a receiver answers (INTERFACES, "Ingest"): small whatever it was sent, and readable by a
// sender of another version.

import { describe, expect, test } from 'vitest';
import { canonical, parseJson } from '../../../shared/canonical.ts';
import {
  answerOf,
  headsOf,
  ingestAnswerSchema,
  placeOf,
  REFUSALS_ANSWERED_MAX,
  type StoreAnswer,
  storeAnswerSchema,
} from '../../../shared/control/answer.ts';
import { refuse } from '../../../shared/control/refusal.ts';
import { commit, FIRST, newHolder, testTrust } from '../kit.ts';

const held = newHolder(await testTrust());
const empty = held.holder;
await commit(held, FIRST);

const at = (generation: bigint, version: bigint): StoreAnswer => {
  return { id: 'a', head: { generation, version }, floor: null, refused: [] };
};
/** Stands at 5 on another commit than the sender's (C9). */
const parted = (floor: bigint | null): StoreAnswer => {
  const place = floor === null ? null : { generation: 1n, version: floor };
  return { ...at(1n, 5n), floor: place, refused: ['site', 'previous'] };
};
const silent: StoreAnswer = { id: 'b', floor: null, refused: [], code: 'store-timeout' };

test('a holder of nothing stands at version 0, with no floor', () => {
  const head = { generation: 1n, version: 0n };
  expect(answerOf('weur', empty, [])).toEqual({ id: 'weur', head, floor: null, refused: [] });
});

test('head is what is held, floor is what was ever active', () => {
  const [first] = held.holder.chain;
  const active = { ...held.holder, active: first ?? null };
  const place = { generation: 1n, version: 1n };
  expect(answerOf('weur', held.holder, [])).toMatchObject({ head: place, floor: null });
  expect(answerOf('weur', active, [])).toMatchObject({ head: place, floor: place });
});

test('codes are answered in the order of arrival, details stay at home', () => {
  const refused = [refuse('gap', 'secret'), refuse('site', 'secret')];
  expect(answerOf('weur', empty, refused).refused).toEqual(['gap', 'site']);
});

test.each([REFUSALS_ANSWERED_MAX, REFUSALS_ANSWERED_MAX + 1])(
  'of %i refusals at most 16 are answered',
  (count) => {
    const refused = Array.from({ length: count }, () => refuse('gap', ''));
    expect(answerOf('weur', empty, refused).refused).toHaveLength(16);
  },
);

test('a place is the two numbers alone', () => {
  const [link] = held.holder.chain;
  if (link === undefined) throw new Error('a link');
  expect(placeOf(link)).toEqual({ generation: 1n, version: 1n });
});

test('an answer comes through its wire form unchanged', () => {
  for (const answer of [answerOf('weur', held.holder, [refuse('gap', '')]), silent]) {
    expect(storeAnswerSchema.parse(parseJson(canonical(answer))?.value)).toEqual(answer);
  }
  const edge = {
    trust: 2n,
    version: 3n,
    ageMs: 12.5,
    verdicts: { eu1: 'up' },
    counters: { ok: 1 },
  };
  const whole = { stores: [silent], edge };
  expect(ingestAnswerSchema.parse(parseJson(canonical(whole))?.value)).toEqual(whole);
});

test('members of a later version are left out, not refused (E1)', () => {
  const text = '{"id":"a","floor":null,"refused":[],"receipt":{"more":1}}';
  const answer = storeAnswerSchema.parse(parseJson(text)?.value);
  expect(answer).toEqual({ id: 'a', floor: null, refused: [] });
});

describe('the lowest head', () => {
  test.each<readonly [string, readonly StoreAnswer[], readonly [bigint, bigint] | null]>([
    ['of nobody', [], null],
    ['of those who did not answer', [silent, silent], null],
    ['of one', [at(1n, 4n)], [1n, 4n]],
    ['of one and a silent one', [silent, at(1n, 4n)], [1n, 4n]],
    ['by number', [at(1n, 10n), at(1n, 9n), at(1n, 11n)], [1n, 9n]],
    ['by generation first', [at(2n, 1n), at(1n, 9n)], [1n, 9n]],
    ['of one that was brought something else: what was active there', [parted(3n)], [1n, 3n]],
    ['of one that was brought something else before that', [parted(null)], [1n, 0n]],
    ['of one that refused for another reason', [{ ...at(1n, 5n), refused: ['gap'] }], [1n, 5n]],
    ['beyond what a double holds', [at(1n, 2n ** 60n + 1n), at(1n, 2n ** 60n)], [1n, 2n ** 60n]],
  ])('%s', (_, answers, expected) => {
    const place = headsOf(answers)[0] ?? null;
    expect(place === null ? null : [place.generation, place.version]).toEqual(expected);
  });
});
