// The control directory as others see it (INTERFACES): names, trust, joins. Its reading and
// appending is in `test/contract/commit-source.ts`.

import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ControlDirectory } from '../../agent/adapters/directory.ts';
import { SourceError } from '../../agent/ports.ts';
import { decodeJws } from '../../shared/control/jws.ts';
import { trustKind } from '../../shared/control/trust.ts';
import { commitNamed } from '../contract/commit-source.ts';
import { codeOf } from '../shared/forge.ts';
import { crypto } from '../shared/kit.ts';

let folder: string;
let directory: ControlDirectory;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'portolan-control-'));
  directory = new ControlDirectory(folder);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const A = commitNamed('a');
const B = commitNamed('b');

test('commits/<version, 16 digits>.json, trust/<n>.json, joins/<agent>.json', async () => {
  await directory.append(1n, A);
  await directory.append(1_234_567_890_123_456n, B);
  await directory.writeTrust(1n, A);
  await directory.writeJoin('eu1-1', B);
  const names = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = names.filter((entry) => entry.isFile());
  expect(
    files.map(({ parentPath, name }) => join(parentPath, name).slice(folder.length)).sort(),
  ).toEqual([
    '/commits/0000000000000001.json',
    '/commits/1234567890123456.json',
    '/joins/eu1-1.json',
    '/trust/1.json',
  ]);
  const path = join(folder, 'commits', '0000000000000001.json');
  expect(await readFile(path, 'utf8')).toBe(`${JSON.stringify(A)}\n`);
  expect((await stat(path)).mode & 0o777).toBe(0o644 & ~process.umask());
});

test('a race leaves nothing behind but the winner', async () => {
  const appends = Array.from({ length: 8 }, (_, i) => directory.append(1n, commitNamed(`${i}`)));
  await Promise.all(appends);
  expect(await readdir(join(folder, 'commits'))).toEqual(['0000000000000001.json']);
});

test('what a writer has not finished is no commit', async () => {
  await mkdir(join(folder, 'commits'));
  await writeFile(join(folder, 'commits', '.abc.tmp'), '{"payload":"x"');
  expect((await directory.read(1n)).commits).toEqual([]);
});

test('a trust document and a join are written once, and read back as found', async () => {
  expect(await directory.writeTrust(1n, A)).toBe('created');
  expect(await directory.writeTrust(1n, B)).toBe('exists');
  expect([await directory.trust(1n), await directory.trust(2n)]).toEqual([A, null]);
  expect(await directory.writeJoin('eu1-1', A)).toBe('created');
  expect(await directory.writeJoin('eu1-1', B)).toBe('exists');
  expect([await directory.join('eu1-1'), await directory.join('us1-1')]).toEqual([A, null]);
});

test('a document that is no JSON is refused, one that cannot be read is an error', async () => {
  await mkdir(join(folder, 'trust', '2.json'), { recursive: true });
  await writeFile(join(folder, 'trust', '1.json'), '{"payload"');
  await writeFile(join(folder, 'joins'), '');
  expect(codeOf(decodeJws(await directory.trust(1n), trustKind, crypto))).toBe('malformed');
  await expect(directory.trust(2n)).rejects.toThrow(SourceError);
  await expect(directory.join('eu1-1')).rejects.toThrow(SourceError);
});

test('a commit that is a folder makes the source unreadable, and the error names it', async () => {
  await directory.append(1n, A);
  await mkdir(join(folder, 'commits', '0000000000000002.json'));
  await expect(directory.read(1n)).rejects.toThrow(/0000000000000002\.json: EISDIR/);
});
