// The class of an operation (S2): what it needs from a region. Reads may go to replicas; writes and
// sessions need the home (S3). A method that is not known to be safe is a write.

import type { Policy } from '../control/record.ts';
import type { Facts } from './facts.ts';

export type OperationClass = 'read' | 'write' | 'session';

const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

export function operationOf(
  { method, path, upgrade }: Pick<Facts, 'method' | 'path' | 'upgrade'>,
  policy: Policy,
): OperationClass {
  if (upgrade || policy.sessionPaths.some((prefix) => isBelow(path, prefix))) return 'session';
  return SAFE_METHODS.has(method) ? 'read' : 'write';
}

/** `/cart` covers `/cart` and `/cart/1`, not `/cartoons`. */
function isBelow(path: string, prefix: string): boolean {
  const stem = prefix.endsWith('/') ? prefix.slice(0, -1) : prefix;
  return path === stem || path.startsWith(`${stem}/`);
}
