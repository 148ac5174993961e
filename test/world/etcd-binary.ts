// Where the real etcd is: $ETCD_BIN and what lies beside it, then PATH, then what set-up unpacked.
// The same order as in test/setup-etcd.mjs, which runs on an older Node and cannot import this.

import { accessSync, constants } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const UNPACKED = fileURLToPath(
  new URL('../../node_modules/.cache/portolan/etcd/usr/bin', import.meta.url),
);

export type EtcdBinaries = {
  readonly etcd: string;
  /** The client, by which tests look at a cluster from outside. */
  readonly etcdctl: string;
};

/** Null when set-up could not bring it; the caller says so or leaves out what needs it. */
export function findEtcd(): EtcdBinaries | null {
  const named = process.env['ETCD_BIN'] ?? '';
  if (named !== '' && !isProgram(named)) return null; // asked for by name: no other instead
  const beside = named === '' ? [] : [dirname(named)];
  const onPath = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const folders = [...beside, ...onPath, UNPACKED];
  const etcd = named === '' ? find('etcd', folders) : named;
  const etcdctl = find('etcdctl', folders);
  return etcd === null || etcdctl === null ? null : { etcd, etcdctl };
}

/**
 * For `beforeEach` of a file that needs etcd: without it each test is shown as skipped, and in CI,
 * where nothing may be left out, it fails.
 */
export function needsEtcd({ skip }: { readonly skip: (note: string) => never }): void {
  if (findEtcd() !== null) return;
  const note = 'etcd is missing: node test/setup.mjs says how to install it';
  if (process.env['CI'] === 'true') throw new Error(note);
  skip(note);
}

function find(name: string, folders: readonly string[]): string | null {
  return folders.map((folder) => join(folder, name)).find(isProgram) ?? null;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
