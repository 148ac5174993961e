import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';
import { KeepFile } from '../../agent/adapters/keep-file.ts';
import { MemoryKeep } from '../fakes/memory-keep.ts';
import { type KeepRig, keepContract } from './keep.ts';

async function fileRig(): Promise<KeepRig> {
  const folder = await mkdtemp(join(tmpdir(), 'portolan-keep-'));
  const path = join(folder, 'keep.json');
  return {
    open: () => new KeepFile(path),
    damage: () => writeFile(path, '{"seq":"1",'),
    dispose: () => rm(folder, { recursive: true, force: true }),
  };
}

async function memoryRig(): Promise<KeepRig> {
  const keep = new MemoryKeep();
  return {
    open: () => keep,
    async damage() {
      keep.broken = 'bad sector';
    },
    async dispose() {},
  };
}

describe('a keep in a file', () => keepContract(fileRig));
describe('a keep in memory', () => keepContract(memoryRig));
