// What a call says about itself between edge and region, and between regions (P1): one Structured
// Field dictionary (RFC 9651), here without the signature that will cover it.
//
// There is one spelling of every value, and only that is read: members in a fixed order, one space
// after each comma, no parameters, no leading zeros, no escape that is not needed. So whatever is
// accepted is byte for byte what `writeProvenance` makes of it; two hops cannot read one header
// differently, a digest of the text is a digest of the meaning, and a second copy of the header,
// which HTTP joins with a comma, is refused by the order alone.
//
// 64-bit numbers travel as strings: Structured Field integers end at 15 digits.
//
// Rejected: a general Structured Fields parser. It accepts what nobody here sends (parameters,
// inner lists, the last of two equal keys wins), and this runs on every request. The tests hold
// every written value against a general parser instead.

import { assert } from '../assert.ts';

export const provenanceHeader = 'portolan-provenance';

/** Headers with this prefix are the platform's: nobody outside may set them (P2). */
export const portolanHeaderPrefix = 'portolan-';

/**
 * Four names of at most 253 characters, five counters, two digests: 2 KiB, and as much to spare.
 */
export const PROVENANCE_BYTES_MAX = 4096;

export interface Provenance {
  /** The host the client asked for. */
  readonly host: string;
  /** The region that this call is meant for. */
  readonly aud: string;
  readonly tenant: string;
  readonly scope: string;
  readonly op: 'read' | 'write' | 'session';
  readonly generation: bigint;
  readonly version: bigint;
  readonly commitIndex: bigint;
  readonly lamport: bigint;
  readonly epoch: bigint;
  /** Id of the decision that sent the call here. */
  readonly decision: string;
  readonly hop: number;
  /** Digest of the previous hop's header; absent on the first. */
  readonly prev?: string;
  readonly body: 'none' | 'unsigned' | 'digest';
}

export interface ProvenanceRefusal {
  readonly kind: 'refused';
  readonly code: 'provenance-malformed';
  readonly detail: string;
}

/**
 * Forms of a member's value, each matched at one place; the group is what is between the quotes.
 */
const TEXT = /"((?:[ !#-[\]-~]|\\["\\])+)"/y;
/** As many digits as control state admits in a counter. */
const COUNTER = /"(0|[1-9][0-9]{0,18})"/y;
const HOP = /(0|[1-9][0-9]{0,14})/y;
const OP = /(read|write|session)/y;
const BODY = /(none|unsigned|digest)/y;

/** The whole profile, in its order. */
const MEMBERS = [
  ['host', TEXT],
  ['aud', TEXT],
  ['tenant', TEXT],
  ['scope', TEXT],
  ['op', OP],
  ['gen', COUNTER],
  ['ver', COUNTER],
  ['ci', COUNTER],
  ['lam', COUNTER],
  ['epoch', COUNTER],
  ['dec', TEXT],
  ['hop', HOP],
  ['prev', TEXT],
  ['body', BODY],
] as const;

type Key = (typeof MEMBERS)[number][0];

/** The header's value. A value that the profile cannot carry is a bug of the caller. */
export function writeProvenance(p: Provenance): string {
  const text = [
    `host=${quote(p.host)}`,
    `aud=${quote(p.aud)}`,
    `tenant=${quote(p.tenant)}`,
    `scope=${quote(p.scope)}`,
    `op=${p.op}`,
    `gen="${p.generation}"`,
    `ver="${p.version}"`,
    `ci="${p.commitIndex}"`,
    `lam="${p.lamport}"`,
    `epoch="${p.epoch}"`,
    `dec=${quote(p.decision)}`,
    `hop=${p.hop}`,
    ...(p.prev === undefined ? [] : [`prev=${quote(p.prev)}`]),
    `body=${p.body}`,
  ].join(', ');
  const raw = scan(text);
  assert(typeof raw !== 'string', `provenance can be written: ${raw}`);
  return text;
}

/** The inverse of `writeProvenance`, and defined on nothing else. */
export function parseProvenance(text: string): Provenance | ProvenanceRefusal {
  const raw = scan(text);
  if (typeof raw === 'string') {
    return { kind: 'refused', code: 'provenance-malformed', detail: raw };
  }
  return {
    host: unquote(raw.host),
    aud: unquote(raw.aud),
    tenant: unquote(raw.tenant),
    scope: unquote(raw.scope),
    op: raw.op as Provenance['op'],
    generation: BigInt(raw.gen),
    version: BigInt(raw.ver),
    commitIndex: BigInt(raw.ci),
    lamport: BigInt(raw.lam),
    epoch: BigInt(raw.epoch),
    decision: unquote(raw.dec),
    hop: Number(raw.hop),
    ...(raw.prev === '' ? {} : { prev: unquote(raw.prev) }),
    body: raw.body as Provenance['body'],
  };
}

/** Each member's text, '' for an absent `prev`; or, as a string, the first fault. */
function scan(text: string): Readonly<Record<Key, string>> | string {
  if (text.length > PROVENANCE_BYTES_MAX) return `longer than ${PROVENANCE_BYTES_MAX}`;
  const raw = {} as Record<Key, string>;
  let at = 0;
  for (const [key, form] of MEMBERS) {
    const lead = at === 0 ? `${key}=` : `, ${key}=`;
    raw[key] = '';
    if (!text.startsWith(lead, at)) {
      if (key === 'prev') continue;
      return `${key} expected at ${at}`;
    }
    form.lastIndex = at + lead.length;
    const value = form.exec(text)?.[1];
    if (value === undefined) return `value of ${key}`;
    raw[key] = value;
    at = form.lastIndex;
  }
  return at === text.length ? raw : `nothing expected at ${at}`;
}

function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

function unquote(text: string): string {
  return text.replace(/\\(.)/g, '$1');
}
