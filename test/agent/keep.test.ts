// The keep as a file: what a strange hand may have made of it (C10). Its contract is in
// `test/contract/keep.ts`.

import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { KeepFile } from '../../agent/adapters/keep-file.ts';
import type { Kept } from '../../agent/ports.ts';
import { digestNamed } from '../shared/forge.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'portolan-keep-'));
  path = join(folder, 'keep.json');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const head = digestNamed('head');
const KEPT: Kept = { seq: 9n, generation: 1n, version: 2n, envelope: head };

test('it is one line of canonical JSON that only its owner reads', async () => {
  await new KeepFile(path).save(KEPT);
  const text = `{"envelope":"${head}","generation":"1","seq":"9","version":"2"}\n`;
  expect(await readFile(path, 'utf8')).toBe(text);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readdir(folder)).toEqual(['keep.json']);
});

test('its folder is made', async () => {
  const keep = new KeepFile(join(folder, 'a', 'b', 'keep.json'));
  expect(await keep.load()).toBeNull();
  await keep.save(KEPT);
  expect(await keep.load()).toEqual(KEPT);
});

test.each([
  ['nothing', ''],
  ['zeros, as after a loss of power', '\0'.repeat(96)],
  ['half of it', `{"envelope":"${head}","gener`],
  ['null', 'null'],
  ['a list', '[]'],
  ['no number', `{"envelope":null,"generation":"1","version":"0"}`],
  ['a number that is none', `{"envelope":null,"generation":"1","seq":"x","version":"0"}`],
  ['a number as a number', `{"envelope":null,"generation":"1","seq":9,"version":"0"}`],
  ['a number below 0', `{"envelope":null,"generation":"1","seq":"-1","version":"0"}`],
  [
    'a digest cut short',
    `{"envelope":"${head.slice(1)}","generation":"1","seq":"1","version":"1"}`,
  ],
  [
    'an active place that is none',
    `{"active":{"version":"1"},"envelope":null,"generation":"1","seq":"1","version":"0"}`,
  ],
  ['more than is known', `{"envelope":null,"generation":"1","more":1,"seq":"1","version":"0"}`],
])('a file that holds %s is an error, never a new start', async (_, text) => {
  await writeFile(path, text);
  await expect(new KeepFile(path).load()).rejects.toThrow();
});

test('a folder in its place is an error, for reading and for writing', async () => {
  await mkdir(path);
  await expect(new KeepFile(path).load()).rejects.toMatchObject({ code: 'EISDIR' });
  await expect(new KeepFile(path).save(KEPT)).rejects.toThrow();
});

test('a file where its folder should be is an error, never a new start', async () => {
  await writeFile(path, '');
  const keep = new KeepFile(join(path, 'keep.json'));
  await expect(keep.load()).rejects.toMatchObject({ code: 'ENOTDIR' });
});
