// The set-up step that brings etcd, the real one that tests and the local world run. Plain
// JavaScript for Node 18, like setup.mjs, which calls it.
//
// Debian's packages are fetched and unpacked below node_modules, never installed: that would start
// a service at a fixed port.

import { spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PACKAGES = ['etcd-server', 'etcd-client'];

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const unpacked = join(root, 'node_modules', '.cache', 'portolan', 'etcd');

/** The server, and `etcdctl`, by which tests look at it from outside. */
export function etcdMissing() {
  return programPath('etcd') === null || programPath('etcdctl') === null;
}

/** $ETCD_BIN and what lies beside it, PATH, what was unpacked: as test/world/etcd-binary.ts. */
function programPath(name) {
  const named = process.env.ETCD_BIN;
  if (named && !isProgram(named)) throw new Error(`ETCD_BIN names no program: ${named}`);
  if (named && name === 'etcd') return named;
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  if (named) folders.unshift(dirname(named));
  const paths = [...folders, join(unpacked, 'usr', 'bin')].map((folder) => join(folder, name));
  return paths.find(isProgram) ?? null;
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export function installEtcd() {
  mkdirSync(dirname(unpacked), { recursive: true });
  const working = mkdtempSync(`${unpacked}-`);
  try {
    const fetched = () => apt(working, 'download', ...PACKAGES);
    // A fresh container has no lists of packages yet; only root may renew them.
    if (!fetched() && !(apt(working, 'update') && fetched())) {
      throw new Error(`etcd: apt-get did not fetch it. ${adviceForEtcd()}`);
    }
    for (const file of readdirSync(working)) {
      const unpack = spawnSync('dpkg-deb', ['-x', file, 'unpacked'], { cwd: working });
      if (unpack.status !== 0) throw new Error(`etcd: dpkg-deb does not unpack ${file}.`);
    }
    rmSync(unpacked, { recursive: true, force: true });
    renameSync(join(working, 'unpacked'), unpacked); // whole or absent
  } finally {
    rmSync(working, { recursive: true, force: true });
  }
}

function apt(cwd, ...command) {
  // As root, apt would hand the download to a user who may not write here, and complain.
  const options = ['-qq', '-o', 'APT::Sandbox::User=root', '-o', 'Acquire::http::Timeout=10'];
  const run = spawnSync('apt-get', [...options, ...command], { cwd, stdio: ['ignore', 2, 2] });
  if (run.error?.code === 'ENOENT') {
    throw new Error(`etcd: there is no apt-get to fetch it. ${adviceForEtcd()}`);
  }
  return run.status === 0;
}

function adviceForEtcd() {
  return `Without it the tests that need etcd are left out. To have it:
  Debian, Ubuntu   apt-get install etcd-server etcd-client (and stop the service)
  macOS            brew install etcd
  in a container   copy etcd and etcdctl from an image of etcd into a folder on PATH
  anywhere         ETCD_BIN=/path/to/etcd, with etcdctl beside it`;
}
