// A source file that no program reaches is dead: nobody runs it, everybody reads it. A test that
// imports it does not make it alive, because then only the test would need it.

import type { Finding, Source } from './finding.ts';
import { importsOf, resolveImport } from './imports.ts';

export const ENTRY_POINTS = [
  'agent/cli/main.ts',
  'agent/main.ts',
  'edge/store/worker.ts',
  'edge/worker.ts',
];

export function deadFiles(files: readonly Source[]): readonly Finding[] {
  const texts = new Map(files.map(({ path, text }) => [path, text]));
  const alive = new Set<string>();
  const queue = [...ENTRY_POINTS];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    const text = texts.get(path);
    if (text === undefined || alive.has(path)) continue;
    alive.add(path);
    for (const { specifier } of importsOf(path, text)) {
      const target = resolveImport(path, specifier);
      if (target !== null) queue.push(target);
    }
  }
  return files
    .filter(({ path }) => isSource(path) && !alive.has(path))
    .map(({ path }) => ({
      path,
      line: 1,
      says: 'no program reaches it: delete it, or import it where it is used',
    }));
}

function isSource(path: string): boolean {
  return /^(shared|agent|edge)\/.*\.ts$/.test(path) && !path.endsWith('.d.ts');
}
