// Node runs the sources by erasing their types, so syntax that turns into code is out.

import type { Finding } from './finding.ts';
import { finding, isCode, placesOf, type SyntaxNode } from './syntax.ts';

const INSTEAD: Readonly<Record<string, string>> = {
  TSEnumDeclaration: 'enum: write a union of literals',
  TSModuleDeclaration: 'namespace: write a module',
  TSParameterProperty: 'parameter property: declare the field and assign it',
};

export function inerasable(path: string, text: string): readonly Finding[] {
  if (!isCode(path) || path.endsWith('.d.ts')) return [];
  return placesOf(path, text).flatMap(({ node, around }) => {
    const says = INSTEAD[node.type];
    // What is declared is only a type: `declare global { namespace Cloudflare { … } }`.
    if (says === undefined || [node, ...around].some(isDeclared)) return [];
    return [finding(path, text, node.start, says)];
  });
}

function isDeclared(node: SyntaxNode): boolean {
  return node.declare === true;
}
