// Reading the configuration: text, then schema, then rules, and every fault of all of them at once,
// in the order in which an editor shows them.

import type * as z from 'zod/mini';
import type { TrustDocument } from '../../shared/control/trust.ts';
import { atPlaces, type Says, schemaFaults } from './config-faults.ts';
import { mergeSources } from './config-merge.ts';
import { type Parts, ruleFaults } from './config-rules.ts';
import { type Config, configSchema, fieldSchemas, recordSchemas } from './config-schema.ts';
import { type Fault, readSources, showPlace } from './config-source.ts';
import { CliError } from './exit.ts';
import { FAULTS_SHOWN_MAX } from './limits.ts';
import { count } from './words.ts';

export interface ReadConfig {
  readonly config: Config;
  /** The text of a single file, as found; null for a folder. */
  readonly text: string | null;
}

/**
 * Reads a file or a folder and checks it against `trust`, where there is one. Rejects with
 * CliError: `input` when it cannot be read, `config` with every fault in it.
 */
export async function readConfig(path: string, trust: TrustDocument | null): Promise<ReadConfig> {
  const sources = await readSources(path);
  const faults = sources.flatMap((source) => source.faults);
  // A file that is no YAML leaves out records that the others name: what follows would be noise.
  if (sources.some(({ value }) => value === null)) throw faulty(path, faults);
  const merged = mergeSources(sources);
  const said = [...schemaFaults(merged.value), ...ruleFaults(partsOf(merged.value), trust)];
  const files = sources.map(({ file }) => file);
  const all = withoutRepeats(said);
  // To find a place is to walk the file, so only what will be shown is placed.
  const placed = atPlaces(all.slice(0, FAULTS_SHOWN_MAX), files);
  const found = [...faults, ...merged.faults, ...placed];
  if (found.length > 0) throw faulty(path, found, all.length - placed.length);
  const [only, ...others] = files;
  const text = only !== undefined && others.length === 0 ? only.text : null;
  return { config: configSchema.parse(merged.value), text };
}

/** A broken field leaves out that field alone, so that the rules still see the others. */
function partsOf(value: unknown): Parts {
  const root = asRecord(value);
  const { shape } = configSchema;
  const { cluster, threshold } = partial(shape, root);
  const records = <K extends keyof typeof fieldSchemas>(collection: K) =>
    Object.entries(asRecord(root[collection])).map(([id, record]) => {
      return [id, partial(fieldSchemas[collection], asRecord(record))] as const;
    });
  const latency = Object.entries(asRecord(root['latency'])).flatMap(([colo, row]) => {
    const parsed = recordSchemas.latency.safeParse(row);
    return parsed.success ? [[colo, parsed.data] as const] : [];
  });
  const namesOf = (collection: string) => Object.keys(asRecord(root[collection]));
  return {
    ...(cluster === undefined ? {} : { cluster }),
    ...(threshold === undefined ? {} : { threshold }),
    sites: Object.fromEntries(records('sites')),
    scopes: Object.fromEntries(records('scopes')),
    tenants: Object.fromEntries(records('tenants')),
    latency: Object.fromEntries(latency),
    templates: Object.fromEntries(records('templates')),
    names: { sites: namesOf('sites'), scopes: namesOf('scopes'), policies: namesOf('policies') },
  };
}

type Shape = Readonly<Record<string, z.ZodMiniType>>;

function partial<S extends Shape>(
  shape: S,
  record: Readonly<Record<string, unknown>>,
): { readonly [K in keyof S]?: z.infer<S[K]> } {
  const fields = Object.entries(shape).flatMap(([name, schema]) => {
    const parsed = schema.safeParse(record[name]);
    return parsed.success ? [[name, parsed.data] as const] : [];
  });
  return Object.fromEntries(fields) as { [K in keyof S]?: z.infer<S[K]> };
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  const plain = value !== null && typeof value === 'object' && !Array.isArray(value);
  return plain ? (value as Record<string, unknown>) : {};
}

/** One word a place: where the schema has spoken, a rule adds nothing. */
function withoutRepeats(said: readonly Says[]): readonly Says[] {
  const seen = new Set<string>();
  return said.filter(({ path }) => {
    const key = path.join('.');
    return seen.has(key) ? false : seen.add(key) !== undefined;
  });
}

/** `unplaced` faults are counted and not shown. */
function faulty(path: string, faults: readonly Fault[], unplaced = 0): CliError {
  const sorted = distinct(faults).toSorted(inReadingOrder);
  const shown = sorted.slice(0, FAULTS_SHOWN_MAX);
  const total = sorted.length + unplaced;
  const more = total - shown.length;
  const lines = shown.map((fault) => {
    const where = fault.path === '' ? '' : `${fault.path}: `;
    return `${showPlace(fault)}: ${where}${fault.message}`;
  });
  if (more > 0) lines.push(`and ${more} more`);
  const details = { faults: shown, more };
  return new CliError('config', `${path}: ${count(total, 'fault')}`, { details, lines });
}

function inReadingOrder(a: Fault, b: Fault): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line || a.column - b.column;
}

/** A parser in trouble says the same of the same place again and again. */
function distinct(faults: readonly Fault[]): readonly Fault[] {
  return [...new Map(faults.map((fault) => [JSON.stringify(fault), fault])).values()];
}
