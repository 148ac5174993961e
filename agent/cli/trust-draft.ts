// The next trust document, drafted: a copy of the newest with some keys set, some taken out, some
// thresholds changed. What it lacks are signatures; it travels as a file to whoever has a root key.

import { decodeBase64url } from '../../shared/base64url.ts';
import { parseCanonical, parseJson } from '../../shared/canonical.ts';
import { type Jws, signJws } from '../../shared/control/jws.ts';
import { isRefusal } from '../../shared/control/refusal.ts';
import {
  readDocument,
  type Trust,
  type TrustDoc,
  type TrustDocument,
  trustKind,
  trustSchema,
} from '../../shared/control/trust.ts';
import type { Hasher } from '../../shared/crypto.ts';
import { digestBytes } from '../../shared/digest.ts';
import { firstIssue, idSchema } from '../../shared/schema.ts';
import { CliError, cliError, EXIT } from './exit.ts';

export interface TrustEdits {
  /** `operator/carol=KEY`, `agent/eu1/eu1-2=KEY`: a new key, or another for that name. */
  readonly set?: readonly string[];
  /** `operator/alice`, `agent/eu1/eu1-1`. */
  readonly remove?: readonly string[];
  /** `sites=2`, `root=2`, `approver=2`, `recovery=1`. */
  readonly threshold?: readonly string[];
}

/** A document that nobody signed yet, or not all who must. */
export interface Draft {
  readonly read: TrustDoc;
  readonly jws: Jws;
}

/** Rejects with CliError: usage, and `input` where the result would be no trust document. */
export async function draftAfter(trust: Trust, edits: TrustEdits, hasher: Hasher): Promise<Draft> {
  const document: TrustDocument = structuredClone(trust.document);
  document.version += 1n;
  document.previous = trust.digest;
  for (const text of edits.set ?? []) setKey(document, text);
  for (const path of edits.remove ?? []) removeKey(document, path);
  for (const text of edits.threshold ?? []) setThreshold(document, text);
  const draft = readDraft(JSON.stringify(await signJws(trustKind.typ, document, [])), hasher);
  if (changesOf(trust, draft.read).length > 0) return draft;
  throw new CliError('usage', 'nothing would change: use --set, --remove or --threshold');
}

/** A draft's file. Throws CliError `input`. */
export function readDraft(text: string, hasher: Hasher): Draft {
  const jws = parseJson(text)?.value as Partial<Jws> | null | undefined;
  const payload = typeof jws?.payload === 'string' ? decodeBase64url(jws.payload) : null;
  const parsed = payload === null ? null : trustSchema.safeParse(parseCanonical(payload)?.value);
  if (payload === null || parsed === null || !Array.isArray(jws?.signatures)) {
    throw new CliError('input', 'this is no signed document');
  }
  if (!parsed.success) throw invalid(firstIssue(parsed.error));
  const whole = { payload: String(jws.payload), signatures: jws.signatures };
  const digest = digestBytes(payload, hasher);
  const read = readDocument({ claimed: parsed.data, digest, jws: whole }, hasher);
  if (isRefusal(read)) throw cliError(read, { exit: EXIT.input });
  return { read, jws: whole };
}

/** What changes between two documents, one line each, kids and not whole keys. */
export function changesOf(before: TrustDoc, after: TrustDoc): readonly string[] {
  const [was, is] = [linesOf(before), linesOf(after)];
  return [
    ...was.filter((line) => !is.includes(line)).map((line) => `- ${line}`),
    ...is.filter((line) => !was.includes(line)).map((line) => `+ ${line}`),
  ];
}

function linesOf({ document, roles }: TrustDoc): readonly string[] {
  const keys = [...roles].map(([kid, role]) => {
    const site = role.kind === 'agent' ? `${role.site}/` : '';
    return `${role.kind}/${site}${role.name} ${kid}`;
  });
  const thresholds = Object.entries(thresholdsOf(document)).map(([name, { threshold }]) => {
    return `threshold ${name}=${threshold}`;
  });
  return [...keys, ...thresholds];
}

function setKey(document: TrustDocument, text: string): void {
  const [, path, key] = /^([^=]+)=([A-Za-z0-9_-]+)$/.exec(text) ?? [];
  if (path === undefined || key === undefined) {
    throw new CliError('usage', `--set ${text}: expected ROLE/NAME=KEY`);
  }
  const { keys, name } = placeOf(document, path);
  keys[name] = key;
}

function removeKey(document: TrustDocument, path: string): void {
  const { keys, name, site } = placeOf(document, path);
  if (!Object.hasOwn(keys, name)) throw new CliError('usage', `--remove ${path}: there is none`);
  delete keys[name];
  // A site is its agents.
  if (site !== undefined && Object.keys(keys).length === 0) delete document.sites[site];
}

function setThreshold(document: TrustDocument, text: string): void {
  const [, name = '', number] = /^([a-z]+)=([1-9]\d{0,3})$/.exec(text) ?? [];
  const thresholds = thresholdsOf(document);
  const place = Object.hasOwn(thresholds, name) ? thresholds[name] : undefined;
  if (place === undefined) {
    const names = Object.keys(thresholds).join('|');
    throw new CliError('usage', `--threshold ${text}: expected ${names}=NUMBER`);
  }
  place.threshold = Number(number);
}

function thresholdsOf(document: TrustDocument): Record<string, { threshold: number }> {
  const { root, approvers, recovery } = document;
  return { sites: document, root, approver: approvers, recovery };
}

interface KeyPlace {
  readonly keys: Record<string, string>;
  readonly name: string;
  readonly site?: string;
}

function placeOf(document: TrustDocument, path: string): KeyPlace {
  const groups: Readonly<Record<string, Record<string, string>>> = {
    root: document.root.keys,
    operator: document.operators,
    approver: document.approvers.keys,
    provisioner: document.provisioners,
    recovery: document.recovery.keys,
    edge: document.edges,
  };
  const [role = '', ...names] = path.split('/');
  // Attack, or a slip: `__proto__` names something in every object.
  const valid = names.every((name) => idSchema.safeParse(name).success);
  const [first, second, ...more] = valid ? names : [];
  const keys = Object.hasOwn(groups, role) ? groups[role] : undefined;
  if (keys !== undefined && first !== undefined && second === undefined) {
    return { keys, name: first };
  }
  if (role === 'agent' && first !== undefined && second !== undefined && more.length === 0) {
    document.sites[first] ??= { agents: {} };
    return { keys: document.sites[first].agents, name: second, site: first };
  }
  const roles = Object.keys(groups).join('|');
  throw new CliError('usage', `${path}: expected ${roles}/NAME or agent/SITE/NAME`);
}

function invalid(issue: string): CliError {
  return new CliError('input', `this is no trust document: ${issue}`);
}
