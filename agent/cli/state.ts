// Control state as this command believes it: every commit of the directory verified and folded
// under the pinned trust document and those that follow from it, by the code that agents and stores
// run. What is refused stops the command (exit 7), because a plan or an explanation on half a
// history would be about another one.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Link } from '../../shared/control/chain.ts';
import type { Envelope } from '../../shared/control/envelope.ts';
import { emptyHolder, type Holder } from '../../shared/control/holder.ts';
import { decodeJws, type Verified } from '../../shared/control/jws.ts';
import { admitBatch, verifyBatch } from '../../shared/control/receive.ts';
import { type Refusal, refuse } from '../../shared/control/refusal.ts';
import { type Trust, trustKind } from '../../shared/control/trust.ts';
import { nodeCrypto } from '../adapters/crypto.ts';
import { ControlDirectory } from '../adapters/directory.ts';
import { codeOf } from '../adapters/durable-file.ts';
import { readTrust } from '../control/follow-trust.ts';
import { Pieces } from '../control/pieces.ts';
import { SourceError } from '../ports.ts';
import { CliError, cliError, EXIT } from './exit.ts';
import { type ProjectPaths, readPin } from './project.ts';

/** One verified commit, for `history`. */
export type Commit = Omit<Envelope, 'kind' | 'operations' | 'approvals'> & {
  readonly digest: Link['digest'];
  readonly operations: number;
};

export interface State {
  readonly trust: Trust;
  readonly directory: ControlDirectory;
  readonly holder: Holder;
  readonly pieces: Pieces;
  /** Oldest first. */
  readonly commits: readonly Commit[];
}

/**
 * Folds the directory up to its head, or up to version `until`. Rejects with CliError: with the
 * code of the first refused commit (7), or `source-unreadable` (6).
 */
export async function readState(
  { control }: ProjectPaths,
  pin: Trust,
  until: bigint | null = null,
): Promise<State> {
  const directory = new ControlDirectory(control);
  try {
    await checkPin(directory, control, pin);
    const state = await fold(directory, await trustIn(directory, pin), until);
    if (until === null) await checkEnd(control, state);
    return state;
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    throw new CliError('source-unreadable', error.message, { cause: error });
  }
}

async function fold(
  directory: ControlDirectory,
  trust: Trust,
  until: bigint | null,
): Promise<State> {
  const { holder: empty, writes } = emptyHolder(trust, nodeCrypto);
  const pieces = new Pieces(writes, empty.state.manifest.global);
  const commits: Commit[] = [];
  let holder = empty;
  for (;;) {
    const { version } = holder.state.manifest;
    const read = await directory.read(version + 1n);
    const most = until === null ? read.commits.length : Number(until - version);
    const found = read.commits.slice(0, Math.max(0, most));
    if (found.length === 0) return { trust, directory, holder, pieces, commits };
    const input = { commits: found, attestations: [] };
    const batch = await verifyBatch(holder, input, nodeCrypto);
    const admitted = admitBatch(holder, batch, pieces, 0, nodeCrypto);
    holder = admitted.holder;
    const taken = Number(holder.state.manifest.version - version);
    commits.push(...batch.commits.slice(0, taken).map(commitOf));
    const [refused] = admitted.refused;
    if (refused !== undefined) throw refusedCommit(refused, holder);
    // Nobody asks this process about an older version: superseded pieces may go.
    pieces.prune(holder.state.manifest.version);
  }
}

function commitOf({ value, digest }: Verified<Envelope>): Commit {
  const { operations, kind: _kind, approvals: _approvals, ...rest } = value;
  return { ...rest, digest, operations: operations.length };
}

function refusedCommit(refusal: Refusal, { state }: Holder): CliError {
  const version = state.manifest.version + 1n;
  const { code, detail } = refusal;
  return new CliError(code, `commit ${version} is refused: ${detail}`, {
    exit: EXIT.verification,
    details: { version, verified: state.manifest.version },
    lines: [...explanation(code), 'nothing was done; agents refuse this commit too'],
  });
}

function explanation(code: Refusal['code']): readonly string[] {
  switch (code) {
    case 'malformed':
      return ['the file is no signed commit: cut off, edited, or another kind of file'];
    case 'gap':
    case 'stale':
      return ['the file holds the commit of another version: it was renamed or copied'];
    case 'previous':
      return ['it does not follow the commit before it: one of the two was replaced'];
    default:
      return [];
  }
}

/**
 * The pin with what the control directory adds to it; the pin alone where there is no directory, as
 * on a machine that only checks a configuration. Rejects with CliError: those of `readPin`, and the
 * code of a document that is refused (7).
 */
export async function trustHere(paths: ProjectPaths): Promise<Trust> {
  const pin = await readPin(paths);
  try {
    return await trustIn(new ControlDirectory(paths.control), pin);
  } catch (error) {
    if (error instanceof SourceError) return pin;
    throw error;
  }
}

async function trustIn(directory: ControlDirectory, pin: Trust): Promise<Trust> {
  const { version } = pin.document;
  const stored = decodeJws((await directory.trust(version)) ?? pin.jws, trustKind, nodeCrypto);
  const known = 'claimed' in stored && stored.digest === pin.digest;
  if (!known) {
    const fault = 'code' in stored ? stored : refuse('trust-previous', 'it is not the pinned one');
    const detail = `control/trust/${version}.json: ${fault.detail}`;
    throw cliError({ ...fault, detail }, { exit: EXIT.verification });
  }
  const { trust, refused } = await readTrust(pin, { source: directory, crypto: nodeCrypto });
  const [fault] = refused;
  if (fault === undefined || fault.code === 'rollback') return trust;
  throw cliError(
    { ...fault, detail: `control/trust: ${fault.detail}` },
    { exit: EXIT.verification },
  );
}

/**
 * The directory must carry the pinned trust document. Attack, or a volume that is not mounted: an
 * empty folder would look like a cluster before its first commit.
 */
export async function checkPin(
  directory: ControlDirectory,
  path: string,
  pin: Trust,
): Promise<void> {
  const { version } = pin.document;
  if ((await directory.trust(version)) !== null) return;
  const lines = ['it is no control directory, or its volume is not mounted'];
  throw new CliError('source-unreadable', `${path} has no trust/${version}.json`, { lines });
}

/** Attack: one commit taken away, so that the head looks older. What lies beyond the hole tells. */
async function checkEnd(control: string, { directory, holder }: State): Promise<void> {
  const head = holder.state.manifest.version;
  let names: readonly string[];
  try {
    names = await readdir(join(control, 'commits'));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw new SourceError(`${control}: ${codeOf(error)}`, { cause: error });
  }
  const versions = names.flatMap((name) => {
    const digits = /^(\d{16})\.json$/.exec(name)?.[1];
    return digits === undefined ? [] : [BigInt(digits)];
  });
  const beyond = versions.filter((version) => version > head);
  const [first] = beyond.sort((a, b) => (a < b ? -1 : 1));
  if (first === undefined) return;
  // Not a hole: the next commit has landed since the head was read.
  if ((await directory.read(head + 1n)).commits.length > 0) return;
  const detail = `commit ${head + 1n} is missing, commit ${first} is there`;
  throw cliError(refuse('gap', detail), {
    exit: EXIT.verification,
    details: { version: head + 1n, verified: head },
    lines: ['restore the missing file; a commit in its place would not fit what follows'],
  });
}
