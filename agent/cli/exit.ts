// How a command ends. One table says which exit code every code of a refusal means, so that a
// script can tell "wait and try again" (4, 6) from "look at this" (5, 7) without reading words.
//
// A command that cannot go on throws `CliError`; `run.ts` is the one place that turns it into
// words or JSON. Rejected: a result type handed up through every step. Between the first failure
// and the end of a command there is nothing left to decide.

import { type ControlCode, isRefusal, type Refusal } from '../../shared/control/refusal.ts';

export const EXIT = {
  fine: 0,
  failure: 1,
  /** Usage, or input that is not valid. */
  input: 2,
  /** `plan --detailed-exitcode` found something to change. */
  differences: 3,
  /** Somebody else was first: another base, a file that is there. */
  late: 4,
  /** Refused by a safety rule. */
  safety: 5,
  unreachable: 6,
  /** A signature, a digest or the chain does not hold. */
  verification: 7,
} as const;

export type Exit = (typeof EXIT)[keyof typeof EXIT];

/** What can stop a command before any rule of control state is asked. */
export type CliCode =
  /** Not foreseen: a bug, or a machine that cannot write. */
  | 'failure'
  | 'usage'
  /** The configuration; its faults are listed. */
  | 'config'
  /** A file that is missing or is not what it should be. */
  | 'input'
  | 'tenant-unknown'
  | 'exists'
  /** The control directory is not there, or cannot be read. */
  | 'source-unreadable'
  /** An agent does not answer. */
  | 'unreachable'
  /** A decision was recomputed and came out another. */
  | 'different';

const { failure, input, late, safety, unreachable, verification } = EXIT;

/** What a refusal of our own change, plan or trust means. A commit that is stored: always 7. */
export const exitOf: Readonly<Record<ControlCode | CliCode, Exit>> = {
  failure,
  usage: input,
  config: input,
  input,
  'tenant-unknown': input,
  exists: late,
  'source-unreadable': unreachable,
  unreachable,
  different: verification,

  'too-large': input,
  malformed: verification,
  encoding: verification,
  algorithm: verification,
  'key-unknown': verification,
  signature: verification,
  role: verification,
  author: verification,
  'trust-key': verification,
  'trust-shared-key': verification,
  'trust-threshold': verification,
  'trust-signatures': verification,
  'trust-gap': verification,
  'trust-previous': verification,
  'trust-fork': verification,
  'trust-missing': verification,
  'trust-old': verification,
  cluster: verification,
  generation: verification,
  stale: late,
  gap: verification,
  previous: verification,
  equivocation: verification,
  lamport: verification,
  rules: verification,
  operations: input,
  record: input,
  reference: input,
  'host-taken': safety,
  'legal-home': safety,
  placement: safety,
  'tenant-home': safety,
  class: safety,
  approvals: safety,
  safety,
  step: safety,
  'step-expired': late,
  'step-reads': late,
  template: safety,
  'tenant-exists': safety,
  cosignatures: verification,
  'op-id': input,
  'queue-full': unreachable,
  manifest: verification,
  'attestation-expired': verification,
  'attestation-clock': verification,
  'attestation-life': verification,
  'attestation-old': verification,
  site: input,
  digest: verification,
  'not-attested': verification,
  sender: verification,
  request: verification,
  'version-unsupported': failure,
  'store-timeout': unreachable,
  'store-failed': unreachable,
  rollback: verification,
  'out-of-band': verification,
};

export interface ErrorMore {
  /** Where the table does not fit: a code found in what is stored is 7, whatever it is. */
  readonly exit?: Exit;
  /** Members of the JSON error beside `code` and `message`. */
  readonly details?: object;
  /** For people, below the message. */
  readonly lines?: readonly string[];
  /** For people, on stdout: what was found before the command had to stop. */
  readonly text?: string;
  readonly cause?: unknown;
}

export class CliError extends Error {
  override readonly name = 'CliError';
  readonly code: ControlCode | CliCode;
  readonly exit: Exit;
  readonly details: object;
  readonly lines: readonly string[];
  readonly text: string;

  constructor(code: ControlCode | CliCode, message: string, more: ErrorMore = {}) {
    super(message, more.cause === undefined ? {} : { cause: more.cause });
    this.code = code;
    this.exit = more.exit ?? exitOf[code];
    this.details = more.details ?? {};
    this.lines = more.lines ?? [];
    this.text = more.text ?? '';
  }
}

export function cliError(refusal: Refusal, more: ErrorMore = {}): CliError {
  return new CliError(refusal.code, refusal.detail, more);
}

/** The value, or its refusal as the end of the command. */
export function taken<T extends object>(value: T | Refusal): T {
  if ('kind' in value && isRefusal(value)) throw cliError(value);
  return value as T;
}

/** What a command has to say when it is done. `run.ts` prints it. */
export interface Outcome {
  readonly exit: Exit;
  /** Members of the JSON object beside `ok`, in memory form: 64-bit numbers are bigints. */
  readonly data: object;
  /** For people, on stdout. */
  readonly text: string;
  /** For people, on stderr. */
  readonly notes?: readonly string[];
}
