// Configuration as text: one YAML file, or a folder whose *.yaml and *.yml are one document in
// parts. Parsed into nodes that know their place, so that every later fault can be shown where it
// was written.
//
// Duplicate keys are looked for here and not by the parser: it compares each key with all before it
// (minutes for 100,000 tenants), and it cannot know the other files. Aliases are counted before
// they are expanded, since a kilobyte of them can mean gigabytes.

import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Document,
  isMap,
  isScalar,
  LineCounter,
  parseDocument,
  visit,
  type YAMLMap,
} from 'yaml';
import { codeOf } from '../adapters/durable-file.ts';
import { CliError } from './exit.ts';
import {
  CONFIG_ALIASES_MAX,
  CONFIG_FILE_BYTES_MAX,
  CONFIG_FILES_MAX,
  CONFIG_FOLDER_BYTES_MAX,
} from './limits.ts';

export interface Place {
  readonly file: string;
  /** Both from 1. */
  readonly line: number;
  readonly column: number;
}

export interface Fault extends Place {
  /** `tenants.acme.home`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
}

export interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly document: Document;
  readonly lines: LineCounter;
}

export interface ReadFile {
  readonly file: SourceFile;
  /** The value as plain data; null when it could not be read. */
  readonly value: { readonly data: unknown } | null;
  readonly faults: readonly Fault[];
}

/** Rejects with CliError when a file is missing, unreadable or too large. */
export async function readSources(path: string): Promise<readonly ReadFile[]> {
  const paths = await filesOf(path);
  const read: ReadFile[] = [];
  let bytes = 0;
  for (const each of paths) {
    const found = await bytesOf(each);
    bytes += found.length;
    if (bytes > CONFIG_FOLDER_BYTES_MAX) {
      throw new CliError('input', `${path}: over ${CONFIG_FOLDER_BYTES_MAX} bytes in all`);
    }
    read.push(readSource(each, textOf(each, found)));
  }
  return read;
}

function readSource(path: string, text: string): ReadFile {
  const lines = new LineCounter();
  // A bomb of brackets makes the parser run out of stack: that is a fault of the file, not ours.
  try {
    const document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      uniqueKeys: false,
    });
    const file = { path, text, document, lines };
    const broken = [...document.errors, ...document.warnings].map(({ pos, message }) => {
      return { ...placeAt(file, pos[0]), path: '', message };
    });
    if (broken.length > 0) return { file, value: null, faults: broken };
    const faults = keyFaults(file);
    return { file, value: { data: document.toJS({ maxAliasCount: CONFIG_ALIASES_MAX }) }, faults };
  } catch (error) {
    const message = `not read: ${error instanceof Error ? error.message : String(error)}`;
    const file = { path, text, document: parseDocument(''), lines };
    return { file, value: null, faults: [{ file: path, line: 1, column: 1, path: '', message }] };
  }
}

export function placeAt({ path, lines }: SourceFile, offset: number): Place {
  const { line, col } = lines.linePos(offset);
  return { file: path, line: Math.max(1, line), column: Math.max(1, col) };
}

export function showPlace({ file, line, column }: Place): string {
  return `${file}:${line}:${column}`;
}

/** The text of a key as the merged value will have it. */
export function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value ?? '') : String(key);
}

function keyFaults(file: SourceFile): readonly Fault[] {
  const faults: Fault[] = [];
  visit(file.document, {
    Map(_, map, ancestors) {
      const first = new Map<string, number>();
      for (const { key } of map.items) {
        const name = keyText(key);
        const offset = offsetOf(key);
        const before = first.get(name);
        const fault = (message: string) => {
          const path = [...pathOf(ancestors), name].join('.');
          faults.push({ ...placeAt(file, offset), path, message });
        };
        // Attack: a record that some readers see and others take for a prototype.
        if (name === '__proto__') fault('this name is reserved');
        if (before === undefined) first.set(name, offset);
        else fault(`written twice; first at ${showPlace(placeAt(file, before))}`);
      }
    },
  });
  return faults;
}

function pathOf(ancestors: readonly unknown[]): readonly string[] {
  return ancestors.flatMap((node, i) => {
    const parent = ancestors[i - 1];
    return isMap(parent) ? [keyText((node as YAMLMap['items'][number]).key)] : [];
  });
}

export function offsetOf(node: unknown): number {
  const range = (node as { readonly range?: readonly number[] | null } | null)?.range;
  return range?.[0] ?? 0;
}

async function filesOf(path: string): Promise<readonly string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const names = (await readdir(path)).filter((name) => /^[^.].*\.ya?ml$/.test(name)).sort();
    if (names.length === 0) throw new CliError('input', `${path}: no *.yaml or *.yml in it`);
    if (names.length > CONFIG_FILES_MAX) {
      throw new CliError('input', `${path}: over ${CONFIG_FILES_MAX} files`);
    }
    return names.map((name) => join(path, name));
  } catch (error) {
    throw unreadable(path, error);
  }
}

async function bytesOf(path: string): Promise<Buffer> {
  try {
    if ((await stat(path)).size > CONFIG_FILE_BYTES_MAX) {
      throw new CliError('input', `${path}: over ${CONFIG_FILE_BYTES_MAX} bytes`);
    }
    return await readFile(path);
  } catch (error) {
    throw unreadable(path, error);
  }
}

function textOf(path: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new CliError('input', `${path}: not UTF-8`, { cause });
  }
}

function unreadable(path: string, error: unknown): unknown {
  const code = codeOf(error);
  if (error instanceof CliError || code === '') return error;
  const says = code === 'ENOENT' ? 'there is no such file' : code;
  return new CliError('input', `${path}: ${says}`, { cause: error });
}
