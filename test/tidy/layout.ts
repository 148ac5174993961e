// Size and names (STYLE 5, 13): what a reader meets before the first line of code. The length of
// functions is Biome's.

import type { Finding } from './finding.ts';
import { isCode } from './syntax.ts';

const COLUMNS_MAX = 100;
const LINES_MAX = 400;

const SOURCE_FOLDERS = /^(shared|edge|agent|test)\//;
const KEBAB = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9-]+)*$/;
const EMPTY_WORDS = new Set(['common', 'helper', 'helpers', 'index', 'services', 'util', 'utils']);

export function longLines(path: string, text: string): readonly Finding[] {
  if (!isCode(path)) return [];
  return text.split('\n').flatMap((line, index) => {
    const columns = [...line].length;
    if (columns <= COLUMNS_MAX) return [];
    return [{ path, line: index + 1, says: `has ${columns} columns: break it at ${COLUMNS_MAX}` }];
  });
}

export function longFiles(path: string, text: string): readonly Finding[] {
  const lines = text.replace(/\n$/, '').split('\n').length;
  if (!isCode(path) || lines <= LINES_MAX) return [];
  return [{ path, line: LINES_MAX, says: `has ${lines} lines: split it, at most ${LINES_MAX}` }];
}

/** A name that says nothing gathers everything. */
export function emptyNames(path: string): readonly Finding[] {
  if (!SOURCE_FOLDERS.test(path)) return [];
  const words = path.split('/').map((segment) => segment.replace(/\..*$/, ''));
  return words
    .filter((word) => EMPTY_WORDS.has(word))
    .map((word) => ({ path, line: 1, says: `"${word}" says nothing: name the topic it serves` }));
}

export function unusualNames(path: string): readonly Finding[] {
  if (!SOURCE_FOLDERS.test(path) && !isCode(path)) return [];
  return path
    .split('/')
    .filter((segment) => !KEBAB.test(segment) && segment !== 'README.md')
    .map((segment) => ({ path, line: 1, says: `"${segment}": write names in kebab-case` }));
}
