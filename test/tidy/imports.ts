// What a file loads, and which layer may load which (DESIGN 2). The compiler keeps the layers too;
// it cannot see a package or a built-in module that a layer must not touch.

import { posix } from 'node:path';
import type { Finding } from './finding.ts';
import { finding, isCode, isNode, nameOf, placesOf, type SyntaxNode } from './syntax.ts';

export interface Import {
  readonly specifier: string;
  readonly at: number;
}

const LAYERS: Readonly<Record<string, readonly string[]>> = {
  shared: ['shared'],
  edge: ['edge', 'shared'],
  agent: ['agent', 'shared'],
};

/** Ways out of a Worker that are not `fetch`, and so not edge/steering/forward.ts (E7). */
const OTHER_WAYS_OUT = /^(node:(http|https|http2|net|tls|dgram)|cloudflare:sockets|undici)$/;

/**
 * Static, dynamic and type-only imports, and files named by `new URL('./x.ts', import.meta.url)`.
 */
export function importsOf(path: string, text: string): readonly Import[] {
  if (!isCode(path)) return [];
  return placesOf(path, text).flatMap(({ node }) => {
    const source = importedBy(node);
    return source === null ? [] : [{ specifier: source, at: node.start }];
  });
}

function importedBy(node: SyntaxNode): string | null {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration':
    case 'ImportExpression':
    case 'TSImportType':
      return nameOf(node.source);
    case 'NewExpression':
      return nameOf(node.callee) === 'URL' ? urlBesideThisFile(node.arguments) : null;
    default:
      return null;
  }
}

function urlBesideThisFile(values: unknown): string | null {
  if (!Array.isArray(values) || !isNode(values[1]) || nameOf(values[1]) !== 'url') return null;
  return nameOf(values[0]);
}

/** The path that a relative specifier means, or null for a package or a built-in module. */
export function resolveImport(path: string, specifier: string): string | null {
  if (!specifier.startsWith('.')) return null;
  return posix.join(posix.dirname(path), specifier.replace(/\?.*$/, ''));
}

export function crossedLayers(path: string, text: string): readonly Finding[] {
  const layer = path.split('/')[0] ?? '';
  const allowed = LAYERS[layer];
  if (allowed === undefined) return [];
  return importsOf(path, text).flatMap(({ specifier, at }) => {
    const target = resolveImport(path, specifier)?.split('/')[0];
    if (target !== undefined && !allowed.includes(target)) {
      const says = `${layer}/ imports ${specifier}: move what both need to shared/`;
      return [finding(path, text, at, says)];
    }
    if (layer === 'shared' && /^(node|cloudflare):/.test(specifier)) {
      const says = `shared/ imports ${specifier}: take what it gives as an argument`;
      return [finding(path, text, at, says)];
    }
    if (layer === 'edge' && OTHER_WAYS_OUT.test(specifier)) {
      const says = `edge/ imports ${specifier}: send through edge/steering/forward.ts (E7)`;
      return [finding(path, text, at, says)];
    }
    return [];
  });
}
