// What must be written down beside the code: a page for every code that a refusal may carry, a
// reason for every limit.

import type { Finding, Source } from './finding.ts';
import { finding, isNode, nameOf, placesOf, type SyntaxNode } from './syntax.ts';

const REFUSALS = /^shared\/[a-z-]+\/refusal\.ts$/;

export function missingPages(files: readonly Source[]): readonly Finding[] {
  const paths = new Set(files.map(({ path }) => path));
  // Without a refusal.ts nothing can be refused, and no page is owed.
  const refusals = files.filter(({ path }) => REFUSALS.test(path));
  return refusals.flatMap(({ path, text }) =>
    codesIn(path, text)
      .filter(({ code }) => !paths.has(`docs/codes/${code}.md`))
      .map(({ code, at }) => finding(path, text, at, `"${code}": write docs/codes/${code}.md`)),
  );
}

/** The string literals of exported types whose name ends in `Code`. */
export function codesIn(path: string, text: string): readonly { code: string; at: number }[] {
  return placesOf(path, text).flatMap(({ node, around }) => {
    const code = node.type === 'TSLiteralType' ? nameOf(node.literal) : null;
    return code !== null && around.some(isCodeUnion) ? [{ code, at: node.start }] : [];
  });
}

function isCodeUnion(node: SyntaxNode): boolean {
  return (
    node.type === 'TSTypeAliasDeclaration' && isNode(node.id) && /Code$/.test(`${node.id.name}`)
  );
}

/** Lines that stand together share the comment above them. */
export function unexplainedLimits(path: string, text: string): readonly Finding[] {
  if (path !== 'shared/limits.ts' && path !== 'agent/limits.ts') return [];
  const lines = text.split('\n');
  return lines.flatMap((line, index) => {
    if (!/^export const /.test(line) || isExplained(lines, index)) return [];
    return [{ path, line: index + 1, says: 'a limit without its reason: write it above' }];
  });
}

function isExplained(lines: readonly string[], index: number): boolean {
  const first = lines.slice(0, index).findLastIndex((line) => line.trim() === '') + 1;
  return /^\s*\/[/*]/.test(lines[first] ?? '');
}
