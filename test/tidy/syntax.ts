// Source code as a syntax tree, so that a word in a comment or a string is never taken for code.
// The parser is the one vitest itself uses; only the few node types that a check names matter here.

import { parseAst } from 'vitest/node';
import type { Finding } from './finding.ts';

export interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

/** A node with the nodes around it, nearest first, and the field of the nearest that holds it. */
export interface Place {
  readonly node: SyntaxNode;
  readonly field: string;
  readonly around: readonly SyntaxNode[];
}

export function isCode(path: string): boolean {
  return /\.(ts|mjs)$/.test(path);
}

/** Every node of the file, outer before inner. */
export function placesOf(path: string, text: string): readonly Place[] {
  const places: Place[] = [];
  const lang = path.endsWith('.d.ts') ? 'dts' : path.endsWith('.ts') ? 'ts' : 'js';
  collect(parseAst(text, { lang }, path), '', [], places);
  return places;
}

function collect(
  value: unknown,
  field: string,
  around: readonly SyntaxNode[],
  places: Place[],
): void {
  if (Array.isArray(value)) {
    for (const item of value) collect(item, field, around, places);
    return;
  }
  if (!isNode(value)) return;
  places.push({ node: value, field, around });
  const inner = [value, ...around];
  for (const [name, child] of Object.entries(value)) collect(child, name, inner, places);
}

export function isNode(value: unknown): value is SyntaxNode {
  return typeof value === 'object' && value !== null && 'type' in value && 'start' in value;
}

/** The name of an identifier, a quoted or plain member, or null. */
export function nameOf(value: unknown): string | null {
  if (!isNode(value)) return null;
  if (value.type === 'Identifier') return String(value.name);
  if (value.type === 'ThisExpression') return 'this';
  if (value.type === 'Literal' && typeof value.value === 'string') return value.value;
  if (value.type === 'MemberExpression') return nameOf(value.property);
  return null;
}

/**
 * True when the node is `object.property`, also written `object['property']` or `object?.property`.
 */
export function isMember(node: SyntaxNode, object: string | null, property: string): boolean {
  if (node.type !== 'MemberExpression' || nameOf(node.property) !== property) return false;
  if (node.computed === true && isNode(node.property) && node.property.type !== 'Literal') {
    return false;
  }
  return object === null || nameOf(node.object) === object;
}

/** True of an identifier that reads a variable, unlike one that names a member or a key. */
export function isReference({ node, field, around: [parent] }: Place): boolean {
  if (node.type !== 'Identifier' || parent === undefined) return false;
  if (parent.type === 'MemberExpression' && field === 'property') return parent.computed === true;
  if (field === 'key') return parent.computed === true;
  return !['imported', 'exported', 'label'].includes(field);
}

export function finding(path: string, text: string, at: number, says: string): Finding {
  return { path, line: text.slice(0, at).split('\n').length, says };
}
