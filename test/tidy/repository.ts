// The files a reader of the repository sees: tracked ones and new ones, without what git ignores. A
// copy without git (an archive) is walked, leaving out the folders that .gitignore names.

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Source } from './finding.ts';

const NOT_OURS = new Set(['.git', '.wrangler', 'node_modules']);
const READ = /\.(ts|mjs|json|md)$/;

/** All files; `text` is empty where no check reads it. */
export function readRepository(root: string): readonly Source[] {
  return (listWithGit(root) ?? walk(root, ''))
    .filter((path) => existsSync(join(root, path)) && statSync(join(root, path)).isFile())
    .sort()
    .map((path) => ({ path, text: READ.test(path) ? readFileSync(join(root, path), 'utf8') : '' }));
}

function listWithGit(root: string): readonly string[] | null {
  try {
    const listing = execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return [...new Set(listing.split('\0'))].filter((path) => path !== '');
  } catch {
    return null;
  }
}

export function walk(root: string, folder: string): readonly string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (NOT_OURS.has(entry.name) || entry.name.endsWith('.log')) return [];
    return entry.isDirectory() ? walk(root, path) : [path];
  });
}
