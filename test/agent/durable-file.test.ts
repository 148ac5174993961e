// Files that are there whole or not at all, whatever fails on the way.

import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { codeOf, createFile, replaceFile } from '../../agent/adapters/durable-file.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'portolan-file-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const at = (...names: readonly string[]) => join(folder, ...names);

describe('createFile', () => {
  test('writes a new file, with its folders, readable by all', async () => {
    expect(await createFile(at('a', 'b', 'c.json'), 'text')).toBe('created');
    expect(await readFile(at('a', 'b', 'c.json'), 'utf8')).toBe('text');
    expect((await stat(at('a', 'b', 'c.json'))).mode & 0o777).toBe(0o644 & ~process.umask());
    expect(await readdir(at('a', 'b'))).toEqual(['c.json']);
  });

  test.each(['a file', 'a folder', 'a link that leads nowhere'])(
    'never replaces %s',
    async (what) => {
      if (what === 'a file') await writeFile(at('c'), 'first');
      else if (what === 'a folder') await mkdir(at('c'));
      else await symlink(at('nowhere'), at('c'));
      expect(await createFile(at('c'), 'second')).toBe('exists');
      expect(await readdir(folder)).toEqual(['c']);
      if (what === 'a file') expect(await readFile(at('c'), 'utf8')).toBe('first');
    },
  );

  test('of many at once one creates, and its text is whole', async () => {
    const texts = Array.from({ length: 12 }, (_, i) => `${i} `.repeat(5_000));
    const outcomes = await Promise.all(texts.map((text) => createFile(at('c'), text)));
    expect(outcomes.filter((outcome) => outcome === 'created')).toHaveLength(1);
    expect(await readFile(at('c'), 'utf8')).toBe(texts[outcomes.indexOf('created')]);
    expect(await readdir(folder)).toEqual(['c']);
  });

  test('rejects where it cannot write, and leaves nothing', async () => {
    await writeFile(at('f'), '');
    await expect(createFile(at('f', 'c'), 'text')).rejects.toThrow(at('f'));
    await expect(createFile(at(`${'n'.repeat(300)}`), 'text')).rejects.toMatchObject({
      code: 'ENAMETOOLONG',
    });
    expect(await readdir(folder)).toEqual(['f']);
  });
});

describe('replaceFile', () => {
  test('writes a file for its owner alone, and replaces it whole', async () => {
    await replaceFile(at('a', 'keep.json'), 'first');
    await replaceFile(at('a', 'keep.json'), 'second');
    expect(await readFile(at('a', 'keep.json'), 'utf8')).toBe('second');
    expect((await stat(at('a', 'keep.json'))).mode & 0o777).toBe(0o600);
    expect(await readdir(at('a'))).toEqual(['keep.json']);
  });

  test('takes another mode', async () => {
    await replaceFile(at('c'), 'text', 0o640);
    expect((await stat(at('c'))).mode & 0o777).toBe(0o640 & ~process.umask());
  });

  test('a reader sees one text or the other, never a part', async () => {
    const texts = ['a'.repeat(100_000), 'b'.repeat(60_000)] as const;
    await replaceFile(at('c'), texts[0]);
    let done = false;
    const writing = (async () => {
      for (let i = 1; i <= 40; i++) await replaceFile(at('c'), texts[i % 2] ?? '');
      done = true;
    })();
    do expect(texts).toContain(await readFile(at('c'), 'utf8'));
    while (!done);
    await writing;
  });

  // A disk that refuses a name refuses it at every start: each attempt would leave a file behind.
  test('rejects where it cannot replace, and leaves what was there and nothing else', async () => {
    await mkdir(at('c', 'inner'), { recursive: true });
    await expect(replaceFile(at('c'), 'text')).rejects.toThrow();
    expect(await readdir(folder)).toEqual(['c']);
  });
});

test.each([
  [Object.assign(new Error('x'), { code: 'ENOENT' }), 'ENOENT'],
  [new Error('x'), ''],
  [{ code: 'ENOENT' }, ''],
  [null, ''],
])('the system’s code of %s is %j', (error, code) => {
  expect(codeOf(error)).toBe(code);
});
