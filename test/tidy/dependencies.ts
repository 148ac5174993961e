// What is installed is the same everywhere: exact versions, a lock file that names no registry and
// knows the packages of platforms other than the one it was written on.

import type { Finding } from './finding.ts';

const EXACT = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/;
const GROUPS = ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'];

export function looseVersions(path: string, text: string): readonly Finding[] {
  if (path !== 'package.json') return [];
  const manifest = JSON.parse(text);
  return GROUPS.flatMap((group) => Object.entries<string>(manifest[group] ?? {}))
    .filter(([, version]) => !EXACT.test(version))
    .map(([name, version]) => ({
      path,
      line: lineWith(text, `"${name}":`),
      says: `${name} "${version}": write one exact version`,
    }));
}

export function namedRegistries(path: string, text: string): readonly Finding[] {
  if (path !== 'package-lock.json') return [];
  return text.split('\n').flatMap((line, index) => {
    if (!/"resolved":\s*"https?:/.test(line)) return [];
    const says = 'names a registry: install with omit-lockfile-registry-resolved (.npmrc)';
    return [{ path, line: index + 1, says }];
  });
}

/**
 * npm leaves an optional package out of the lock file when the registry in use does not carry it,
 * and `npm ci` then refuses the lock file, or installs nothing for that platform.
 */
export function missingPlatforms(path: string, text: string): readonly Finding[] {
  if (path !== 'package-lock.json') return [];
  const entries = Object.entries<LockEntry>(JSON.parse(text).packages);
  const known = new Set(entries.map(([place]) => place.replace(/^.*node_modules\//, '')));
  return entries.flatMap(([place, { optionalDependencies }]) =>
    Object.entries(optionalDependencies ?? {})
      .filter(([name]) => !known.has(name))
      .map(([name, version]) => ({
        path,
        line: lineWith(text, `"${place}":`),
        says: `no entry for ${name} ${version}: add it with version, os, cpu and optional`,
      })),
  );
}

/**
 * Tests, local world and deployment bundle must see one runtime: a second one hides in a subfolder.
 */
export function secondRuntimes(path: string, text: string): readonly Finding[] {
  if (path !== 'package-lock.json') return [];
  return Object.keys(JSON.parse(text).packages)
    .filter((place) => /node_modules\/.*node_modules\/(wrangler|miniflare|workerd)$/.test(place))
    .map((place) => ({
      path,
      line: lineWith(text, `"${place}":`),
      says: `${place}: pin the version that @cloudflare/vitest-plugin pins`,
    }));
}

interface LockEntry {
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

function lineWith(text: string, words: string): number {
  return text.split('\n').findIndex((line) => line.includes(words)) + 1;
}
