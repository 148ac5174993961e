// How long rows stay: isolates still walk from older roots, and content comes back (E1, C13).

import { describe, expect, test } from 'vitest';
import { Rows } from '../../edge/store/rows.ts';
import type { Admitted } from '../../shared/control/holder.ts';
import { CHAIN_LINKS_MAX, NODE_RETENTION_VERSIONS } from '../../shared/limits.ts';
import { inNewObject } from './held-store.ts';

/** Rows and a way to add the next version, which puts and retires pieces by name. */
function withRows(
  work: (
    rows: Rows,
    next: (puts?: readonly string[], retired?: readonly string[]) => bigint,
  ) => void,
): Promise<void> {
  return inNewObject(async (storage) => {
    const rows = new Rows(storage);
    let version = 0n;
    work(rows, (puts = [], retired = []) => {
      version += 1n;
      const pieces = new Map(puts.map((name) => [name, `text of ${name}`]));
      const link = { version, jws: { payload: `${version}` }, manifest: {} };
      rows.store({ link, writes: { pieces, nodes: new Map(), retired } } as unknown as Admitted);
      return version;
    });
  });
}

const TEXT = 'text of a';

describe('a piece', () => {
  test('that a commit replaced is readable for NODE_RETENTION_VERSIONS, and gone after', () =>
    withRows((rows, next) => {
      const root = next(['a']);
      next(['b'], ['a']);
      for (let at = root; at < root + BigInt(NODE_RETENTION_VERSIONS); ) at = next();
      expect(rows.piece('a')).toBe(TEXT);
      next();
      expect([rows.piece('a'), rows.piece('b')]).toEqual([null, 'text of b']);
    }));

  test('that came back is not let go (C13)', () =>
    withRows((rows, next) => {
      next(['a']);
      next(['b'], ['a']);
      next(['a'], ['b']);
      for (let n = 0; n < NODE_RETENTION_VERSIONS + 2; n++) next();
      expect([rows.piece('a'), rows.piece('b')]).toEqual([TEXT, null]);
    }));

  test('that came back and went again counts from then', () =>
    withRows((rows, next) => {
      next(['a']);
      next([], ['a']);
      for (let n = 0; n < NODE_RETENTION_VERSIONS - 1; n++) next();
      next(['a']);
      const last = next([], ['a']);
      for (let at = last; at < last + BigInt(NODE_RETENTION_VERSIONS) - 1n; ) at = next();
      expect(rows.piece('a')).toBe(TEXT);
      next();
      expect(rows.piece('a')).toBeNull();
    }));

  test('that a commit taken back had replaced is in use again', () =>
    withRows((rows, next) => {
      const kept = next(['a']);
      next(['b'], ['a']);
      rows.rewind(kept);
      expect(rows.commits()).toHaveLength(1);
      for (let n = 0; n < NODE_RETENTION_VERSIONS + 2; n++) next();
      expect(rows.piece('a')).toBe(TEXT);
    }));
});

test('commits stay as long as a chain holds them, oldest first', () =>
  withRows((rows, next) => {
    for (let at = 0n; at < BigInt(CHAIN_LINKS_MAX); ) at = next();
    expect(rows.commits()).toHaveLength(CHAIN_LINKS_MAX);
    expect(rows.commits()[0]?.jws).toBe('{"payload":"1"}');
    next();
    expect(rows.commits()).toHaveLength(CHAIN_LINKS_MAX);
    expect(rows.commits()[0]?.jws).toBe('{"payload":"2"}');
  }));
