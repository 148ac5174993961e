// etcd3 stands behind one file, and only the half of it that loses nothing is used there (DESIGN
// 4): its own watch, lock, election and lease lose events or hold too long.

import type { Finding } from './finding.ts';
import { importsOf } from './imports.ts';
import { finding, isMember, nameOf, placesOf } from './syntax.ts';

const ADAPTER = 'agent/adapters/etcd.ts';

const BANNED: Readonly<Record<string, string>> = {
  watch: 'read the raw stream of watchClient.watch()',
  lock: 'compare mod_revision in a transaction',
  election: 'compare mod_revision in a transaction',
  lease: 'renew a runtime key by transaction (F2)',
};

export function etcdElsewhere(path: string, text: string): readonly Finding[] {
  if (path === ADAPTER) return [];
  return importsOf(path, text)
    .filter(({ specifier }) => specifier === 'etcd3' || specifier.startsWith('etcd3/'))
    .map(({ at }) => finding(path, text, at, `imports etcd3: go through the port of ${ADAPTER}`));
}

export function bannedEtcd(path: string, text: string): readonly Finding[] {
  if (path !== ADAPTER) return [];
  return placesOf(path, text).flatMap(({ node }) => {
    const method = Object.keys(BANNED).find((name) => isMember(node, null, name));
    if (method === undefined) return [];
    if (method === 'watch' && nameOf(node.object) === 'watchClient') return [];
    return [finding(path, text, node.start, `.${method} of etcd3: ${BANNED[method]}`)];
  });
}
