// What is wrong with a value, in words and at its place. The schema says where and what; this file
// says it as a person would: a field that is missing, a name that was probably meant.

import type * as z from 'zod/mini';
import en from 'zod/v4/locales/en.js';
import { type Path, placeOf } from './config-merge.ts';
import { configJsonSchema, configSchema } from './config-schema.ts';
import type { Fault, SourceFile } from './config-source.ts';
import { hint } from './nearest.ts';

/** Said of the place `path`; `part` is what is wrong there: the name, or what stands under it. */
export interface Says {
  readonly path: Path;
  readonly part: 'key' | 'value';
  readonly message: string;
}

/** Every fault that the schema finds in `value`. */
export function schemaFaults(value: unknown): readonly Says[] {
  const parsed = configSchema.safeParse(value, { error: en().localeError });
  return parsed.success ? [] : parsed.error.issues.flatMap((issue) => inWords(issue, [], value));
}

export function atPlaces(says: readonly Says[], files: readonly SourceFile[]): readonly Fault[] {
  return says.map(({ path, part, message }) => {
    return { ...placeOf(files, path, part), path: path.join('.'), message };
  });
}

function inWords(issue: z.core.$ZodIssue, base: Path, value: unknown): readonly Says[] {
  const path = [
    ...base,
    ...issue.path.map((part) => (typeof part === 'number' ? part : `${String(part)}`)),
  ];
  const here = valueAt(value, path);
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => {
        const message = `there is no such field${hint(key, fieldsAt(path))}`;
        return { path: [...path, key], part: 'key', message };
      });
    case 'invalid_key':
      return issue.issues.flatMap((inner) => {
        return inWords(inner, path, value).map(({ message }) => ({ path, part: 'key', message }));
      });
    case 'invalid_union': {
      if (issue.discriminator !== undefined) {
        return [{ path, part: 'value', message: 'expected true or false' }];
      }
      // The branch that agrees on the kind of value is the one that was meant.
      const meant = issue.errors.find((branch) => branch.every((inner) => inner.path.length > 0));
      if (meant !== undefined) return meant.flatMap((inner) => inWords(inner, path, value));
      return [{ path, part: 'value', message: issue.message }];
    }
    case 'invalid_type':
      if (here === undefined) return [{ path, part: 'value', message: 'is missing' }];
      return [
        { path, part: 'value', message: `expected ${kindName(issue.expected)}, ${found(here)}` },
      ];
    case 'invalid_value': {
      if (here === undefined) return [{ path, part: 'value', message: 'is missing' }];
      const values = issue.values.map(String);
      const [only, ...others] = values;
      const one = others.length === 0 ? only : `one of ${values.join(', ')}`;
      const meant = others.length === 0 ? '' : hint(String(here), values);
      return [{ path, part: 'value', message: `expected ${one}${meant}` }];
    }
    case 'custom':
      return [{ path, part: 'value', message: `not valid: ${issue.message}` }];
    case 'invalid_format':
      return [{ path, part: 'value', message: `expected ${issue.message}` }];
    default:
      return [{ path, part: 'value', message: issue.message }];
  }
}

function kindName(expected: string): string {
  if (expected === 'object' || expected === 'record') return 'a map';
  if (expected === 'array' || expected === 'tuple') return 'a list';
  return expected === 'int' ? 'a whole number' : `a ${expected}`;
}

function found(value: unknown): string {
  if (value === null) return 'found nothing';
  if (Array.isArray(value)) return 'found a list';
  return typeof value === 'object' ? 'found a map' : `found ${JSON.stringify(value)}`;
}

function valueAt(value: unknown, path: Path): unknown {
  let here = value;
  for (const part of path) {
    if (here === null || typeof here !== 'object' || !Object.hasOwn(here, part)) return undefined;
    here = (here as Record<string, unknown>)[part];
  }
  return here;
}

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
}

let whole: JsonSchema | null = null;

/** The fields that the JSON Schema knows at a path: the one list of names there is. */
function fieldsAt(path: Path): readonly string[] {
  whole ??= configJsonSchema() as JsonSchema;
  let schemas: readonly JsonSchema[] = [whole];
  for (const part of path) {
    schemas = branches(schemas).flatMap(({ properties, additionalProperties: others }) => {
      const own = properties?.[String(part)];
      if (own !== undefined) return [own];
      return typeof others === 'object' ? [others] : [];
    });
  }
  return branches(schemas).flatMap(({ properties }) => Object.keys(properties ?? {}));
}

function branches(schemas: readonly JsonSchema[]): readonly JsonSchema[] {
  return schemas.flatMap((schema) => [schema, ...(schema.anyOf ?? []), ...(schema.oneOf ?? [])]);
}
