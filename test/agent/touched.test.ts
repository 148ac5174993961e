// Keys that wait to be judged: bounded in number and in size, whoever writes.

import { expect, test } from 'vitest';
import { Touched } from '../../agent/control/touched.ts';
import { TOUCHED_KEYS_MAX, TOUCHED_VALUE_CHARS_MAX } from '../../agent/limits.ts';

const SHORT = 'x'.repeat(TOUCHED_VALUE_CHARS_MAX);

function mentioned(value: string | null) {
  const touched = new Touched();
  touched.add({ key: 'a', value, modRevision: 7n });
  return touched.take(7n, 1)[0];
}

test.each([
  ['a deletion', null, { key: 'a', value: null, modRevision: 7n }],
  ['a short value', SHORT, { key: 'a', value: SHORT, modRevision: 7n }],
  ['a value that is too long to be kept', `${SHORT}x`, { key: 'a', modRevision: 7n }],
])('%s', (_, value, expected) => {
  expect(mentioned(value)).toEqual(expected);
});

test(`of more than ${TOUCHED_KEYS_MAX} keys the oldest go`, () => {
  const touched = new Touched();
  for (let i = 0; i <= TOUCHED_KEYS_MAX; i++) {
    touched.add({ key: `${i}`, value: '', modRevision: 1n });
  }
  const taken = touched.take(1n, TOUCHED_KEYS_MAX + 1).map(({ key }) => key);
  expect([taken.length, taken[0], taken.at(-1)]).toEqual([
    TOUCHED_KEYS_MAX,
    '1',
    `${TOUCHED_KEYS_MAX}`,
  ]);
});

test('the newest word about a key counts, and what was written later waits', () => {
  const touched = new Touched();
  touched.add({ key: 'a', value: 'new', modRevision: 9n });
  touched.add({ key: 'a', value: 'old', modRevision: 8n });
  touched.add({ key: 'b', value: 'old', modRevision: 8n });
  expect(touched.take(8n, 9)).toEqual([{ key: 'b', value: 'old', modRevision: 8n }]);
  expect(touched.take(9n, 9)).toEqual([{ key: 'a', value: 'new', modRevision: 9n }]);
});
