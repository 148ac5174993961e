// One value, one byte string: RFC 8785 JSON. Digests and signatures are over these bytes, so every
// party must compute the same. 64-bit numbers are `bigint` in memory and decimal strings on the
// wire (RFC 8785 has doubles only); this file is where the one becomes the other.

import serialize from 'canonicalize';
import { assert } from './assert.ts';
import { NESTING_MAX } from './limits.ts';

const PROTOTYPE = '__proto__';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** RFC 8785 text of a JSON value whose 64-bit numbers are bigints. */
export function canonical(value: unknown): string {
  const text = serialize(toWire(value));
  assert(text !== undefined, 'a document is a JSON value');
  return text;
}

export function canonicalBytes(value: unknown): Uint8Array<ArrayBuffer> {
  return encoder.encode(canonical(value));
}

/** The wire form: bigints become decimal strings, absent members stay absent. */
export function toWire(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return value.map(toWire);
  if (value === null || typeof value !== 'object') return value;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  // Not by assignment: `__proto__` must stay a member, for a schema to refuse.
  return Object.fromEntries(members.map(([key, member]) => [key, toWire(member)]));
}

/**
 * The JSON value of `bytes`, or null when they are not exactly its canonical form: not UTF-8, not
 * JSON, duplicate members, other spacing or order, a lone surrogate.
 */
export function parseCanonical(bytes: Uint8Array): { readonly value: unknown } | null {
  try {
    const text = decoder.decode(bytes);
    if (nesting(text) > NESTING_MAX) return null;
    const value: unknown = JSON.parse(text, refuseUncanonical);
    return serialize(value) === text ? { value } : null;
  } catch {
    return null;
  }
}

/**
 * The JSON value of text that need not be canonical (a container whose inner parts are); null when
 * it is not JSON, is nested too deep or has no canonical form.
 */
export function parseJson(text: string): { readonly value: unknown } | null {
  try {
    if (nesting(text) > NESTING_MAX) return null;
    const value: unknown = JSON.parse(text, refuseUncanonical);
    return { value };
  } catch {
    return null;
  }
}

/**
 * What JSON admits and parties would digest in different ways. `__proto__` is an ordinary member,
 * but assigning to it sets a prototype; a lone surrogate and a number beyond doubles have no
 * canonical form.
 */
function refuseUncanonical(key: string, value: unknown): unknown {
  const broken =
    key === PROTOTYPE ||
    !key.isWellFormed() ||
    (typeof value === 'string' && !value.isWellFormed()) ||
    (typeof value === 'number' && !Number.isFinite(value));
  if (broken) throw new SyntaxError('no canonical form');
  return value;
}

/** Depth of brackets outside strings: recursion over a document is bounded by it. */
function nesting(text: string): number {
  let depth = 0;
  let deepest = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (quoted) {
      if (char === '\\') i++;
      else if (char === '"') quoted = false;
    } else if (char === '"') quoted = true;
    else if (char === '[' || char === '{') deepest = Math.max(deepest, ++depth);
    else if (char === ']' || char === '}') depth--;
  }
  return deepest;
}

export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** Length in bytes of the UTF-8 form. */
export function utf8Length(text: string): number {
  return encoder.encode(text).length;
}
