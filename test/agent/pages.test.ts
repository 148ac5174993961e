// Pages of etcd shrink where they do not come, and grow again where they do.

import { expect, test } from 'vitest';
import { Pages } from '../../agent/control/pages.ts';
import { EtcdError, type EtcdErrorCode } from '../../agent/etcd-port.ts';
import { ETCD_PAGE_KEYS_MAX } from '../../agent/limits.ts';

/** An etcd that answers up to `most` keys, and to more of them with `code`. */
function bounded(most: number, code: EtcdErrorCode) {
  const asked: number[] = [];
  const pages = new Pages({
    range: async ({ limit }) => {
      asked.push(limit);
      if (limit > most) throw new EtcdError(code, 'no');
      return { revision: 1n, term: 1n, kvs: [], more: false };
    },
  });
  return { asked, read: () => pages.read('a', 'b') };
}

test(`a page has ${ETCD_PAGE_KEYS_MAX} keys`, async () => {
  const { asked, read } = bounded(1_000, 'too-large');
  await read();
  await read();
  expect(asked).toEqual([64, 64]);
});

test('one that is too large is halved until it fits; the next one is larger again', async () => {
  const { asked, read } = bounded(10, 'too-large');
  await read();
  await read();
  expect(asked).toEqual([64, 32, 16, 8, 16, 8]);
});

test('down to one key', async () => {
  const { asked, read } = bounded(1, 'too-large');
  await read();
  expect(asked).toEqual([64, 32, 16, 8, 4, 2, 1]);
});

test('a key that is too large alone is said', async () => {
  await expect(bounded(0, 'too-large').read()).rejects.toMatchObject({ code: 'too-large' });
});

// It may have been too large for the time there is.
test('one that did not come is said, and the next one is smaller', async () => {
  const { asked, read } = bounded(16, 'unavailable');
  for (let i = 0; i < 2; i++) await expect(read()).rejects.toMatchObject({ code: 'unavailable' });
  await read();
  expect(asked).toEqual([64, 32, 16]);
  // Not twice as large at once: every other page would cost a turn.
  await expect(read()).rejects.toMatchObject({ code: 'unavailable' });
  for (let i = 0; i < 8; i++) await read();
  expect(asked.slice(3)).toEqual([17, 9, 10, 11, 12, 13, 14, 15, 16]);
});
