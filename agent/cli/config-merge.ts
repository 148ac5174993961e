// The files of a folder as one value: collections are put together record by record, anything else
// may stand in one file only. And the way back, from a path in that value to the place in a file.

import { isAlias, isMap, isSeq, type Pair } from 'yaml';
import { collections } from './config-schema.ts';
import {
  type Fault,
  keyText,
  offsetOf,
  type Place,
  placeAt,
  type ReadFile,
  type SourceFile,
  showPlace,
} from './config-source.ts';

export type Path = readonly (string | number)[];

export interface Merged {
  readonly value: unknown;
  readonly faults: readonly Fault[];
}

/** `sources` whose values could be read, as one. */
export function mergeSources(sources: readonly ReadFile[]): Merged {
  const [first, ...others] = sources;
  if (first !== undefined && others.length === 0) {
    return { value: first.value?.data ?? {}, faults: [] };
  }
  const faults: Fault[] = [];
  const merged = new Map<string, unknown>();
  const files: SourceFile[] = [];
  for (const { file, value } of sources) {
    const data = value?.data ?? {};
    if (!isPlain(data)) {
      const message = 'expected a map of records';
      faults.push({ ...placeOf([file], [], 'value'), path: '', message });
      continue;
    }
    for (const [key, member] of Object.entries(data)) {
      for (const path of mergeMember(merged, key, member)) {
        const message = `written twice; first at ${showPlace(placeOf(files, path, 'key'))}`;
        faults.push({ ...placeOf([file], path, 'key'), path: path.join('.'), message });
      }
    }
    files.push(file);
  }
  const entries = [...merged].map(([key, member]) => {
    return [key, member instanceof Map ? Object.fromEntries(member) : member] as const;
  });
  return { value: Object.fromEntries(entries), faults };
}

/** Adds one top-level member, a collection as a Map; returns the paths that were there before. */
function mergeMember(merged: Map<string, unknown>, key: string, member: unknown): readonly Path[] {
  const held = merged.get(key);
  const collection = collections.some((name) => name === key) && isPlain(member);
  if (held === undefined) {
    merged.set(key, collection ? new Map(Object.entries(member)) : member);
    return [];
  }
  if (!collection || !(held instanceof Map)) return [[key]];
  const twice: Path[] = [];
  for (const [id, record] of Object.entries(member)) {
    if (held.has(id)) twice.push([key, id]);
    else held.set(id, record);
  }
  return twice;
}

/**
 * Where `path` is written. `key`: its key, `value`: its value. What is not written is shown at the
 * key of the nearest thing around it, at the top of the first file if there is none.
 */
export function placeOf(files: readonly SourceFile[], path: Path, part: 'key' | 'value'): Place {
  let best: { readonly file: SourceFile; readonly found: Found } | null = null;
  for (const file of files) {
    const found = walk(file, path);
    if (best === null || found.depth > best.found.depth) best = { file, found };
  }
  if (best === null) return { file: '', line: 1, column: 1 };
  const { file, found } = best;
  const whole = found.depth === path.length;
  return placeAt(file, whole && part === 'value' ? found.valueAt : found.keyAt);
}

interface Found {
  /** How much of the path is written in this file. */
  readonly depth: number;
  readonly keyAt: number;
  readonly valueAt: number;
}

function walk({ document }: SourceFile, path: Path): Found {
  let node: unknown = document.contents;
  let found: Found = { depth: 0, keyAt: 0, valueAt: offsetOf(node) };
  for (const [i, segment] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair: Pair | undefined = node.items.findLast(
        ({ key }) => keyText(key) === String(segment),
      );
      if (pair === undefined) return found;
      node = pair.value;
      found = { depth: i + 1, keyAt: offsetOf(pair.key), valueAt: offsetOf(node ?? pair.key) };
    } else if (isSeq(node) && typeof segment === 'number' && segment < node.items.length) {
      node = node.items[segment];
      found = { depth: i + 1, keyAt: offsetOf(node), valueAt: offsetOf(node) };
    } else return found;
  }
  return found;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
