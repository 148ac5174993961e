// Control state as this command believes it: every commit that is shown, by a directory or by
// agents, verified and folded under the pinned trust document and those that follow from it, by the
// code that agents and stores
// run. What is refused stops the command (exit 7), because a plan or an explanation on half a
// history would be about another one.

import type { Link } from '../../shared/control/chain.ts';
import { type Envelope, envelopeKind } from '../../shared/control/envelope.ts';
import {
  emptyHolder,
  type Holder,
  screenCommit,
  verifyCommit,
} from '../../shared/control/holder.ts';
import { decodeJws, type Verified } from '../../shared/control/jws.ts';
import { admitBatch, verifyBatch } from '../../shared/control/receive.ts';
import { type Refusal, refuse } from '../../shared/control/refusal.ts';
import { type Trust, trustKind } from '../../shared/control/trust.ts';
import { nodeCrypto } from '../adapters/crypto.ts';
import { readTrust } from '../control/follow-trust.ts';
import { Pieces } from '../control/pieces.ts';
import { SourceError } from '../ports.ts';
import type { Control, Offer } from './control.ts';
import { DirectoryControl } from './directory-control.ts';
import { CliError, cliError, EXIT } from './exit.ts';
import { type ProjectPaths, readPin } from './project.ts';

/** One verified commit, for `history`. */
export type Commit = Omit<Envelope, 'kind' | 'operations' | 'approvals'> & {
  readonly digest: Link['digest'];
  readonly operations: number;
};

export interface State {
  readonly trust: Trust;
  readonly control: Control;
  readonly holder: Holder;
  readonly pieces: Pieces;
  /** Oldest first. */
  readonly commits: readonly Commit[];
  /** For people: who was left out of it, and why. */
  readonly notes: readonly string[];
}

/**
 * Folds what `control` shows up to its head, or up to version `until`. Rejects with CliError: with
 * the code of the first refused commit (7), `source-unreadable` or `unreachable` (6).
 */
export async function readState(
  project: ProjectPaths,
  pin: Trust,
  until: bigint | null = null,
  control: Control = new DirectoryControl(project.control),
): Promise<State> {
  try {
    const state = await fold(control, await trustOf(control, pin), until);
    if (until === null) await checkEnd(state);
    return state;
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    throw new CliError('source-unreadable', error.message, { cause: error });
  }
}

/** What is folded so far. */
interface Folding {
  readonly trust: Trust;
  readonly pieces: Pieces;
  readonly commits: Commit[];
  readonly notes: Set<string>;
  holder: Holder;
}

async function fold(control: Control, trust: Trust, until: bigint | null): Promise<State> {
  const { holder, writes } = emptyHolder(trust, nodeCrypto);
  const pieces = new Pieces(writes, holder.state.manifest.global);
  const folding: Folding = { trust, pieces, commits: [], notes: new Set(), holder };
  for (;;) {
    const { version } = folding.holder.state.manifest;
    const most = until === null ? null : Number(until - version);
    const offers = most === 0 ? [] : await control.read(version + 1n);
    await takeOffers(folding, offers, most);
    const head = folding.holder.state.manifest.version;
    if (head === version) break;
    // Nobody asks this process about an older version: superseded pieces may go.
    pieces.prune(head);
  }
  const notes = [...folding.notes, ...control.notes()];
  return { trust, control, pieces, commits: folding.commits, holder: folding.holder, notes };
}

/**
 * One offer after the other, each on what the ones before led to. A refused commit stops the
 * command unless somebody else's offer holds: one lying agent must not stand in the way (I16). Two
 * histories that an operator signed stop it always.
 */
async function takeOffers(
  folding: Folding,
  offers: readonly Offer[],
  most: number | null,
): Promise<void> {
  const faults: { readonly offer: Offer; readonly refusal: Refusal; readonly at: Holder }[] = [];
  for (const offer of offers) {
    const found = offer.commits.slice(0, most ?? offer.commits.length);
    const refusal = await takeOffer(folding, found);
    if (refusal === null) continue;
    if (refusal.code === 'equivocation' && (await isSignedFork(folding, found))) {
      throw refusedCommit(refusal, folding.holder, [`${offer.from} shows another history`]);
    }
    faults.push({ offer, refusal, at: folding.holder });
  }
  const [first] = faults;
  if (first !== undefined && faults.length === offers.length) {
    throw refusedCommit(first.refusal, first.at);
  }
  for (const { offer, refusal } of faults) {
    folding.notes.add(`${offer.from} was left out: ${refusal.code}: ${refusal.detail}`);
  }
}

async function takeOffer(folding: Folding, found: readonly unknown[]): Promise<Refusal | null> {
  const { holder, pieces, commits } = folding;
  const { version } = holder.state.manifest;
  const input = { commits: found, attestations: [] };
  const batch = await verifyBatch(holder, input, nodeCrypto);
  const admitted = admitBatch(holder, batch, pieces, 0, nodeCrypto);
  folding.holder = admitted.holder;
  const taken = Number(admitted.holder.state.manifest.version - version);
  commits.push(...batch.commits.slice(0, taken).map(commitOf));
  return admitted.refused[0] ?? null;
}

/** Did somebody who may commit sign another commit in a place that is taken? */
async function isSignedFork({ holder }: Folding, found: readonly unknown[]): Promise<boolean> {
  for (const jws of found) {
    const screened = screenCommit(holder, jws, 0, nodeCrypto);
    if (screened.kind !== 'refused' || screened.code !== 'equivocation') continue;
    const decoded = decodeJws(jws, envelopeKind, nodeCrypto);
    if (!('claimed' in decoded)) continue;
    return !('code' in (await verifyCommit(decoded, holder.trust, nodeCrypto)));
  }
  return false;
}

function commitOf({ value, digest }: Verified<Envelope>): Commit {
  const { operations, kind: _kind, approvals: _approvals, ...rest } = value;
  return { ...rest, digest, operations: operations.length };
}

function refusedCommit(
  refusal: Refusal,
  { state }: Holder,
  more: readonly string[] = [],
): CliError {
  const version = state.manifest.version + 1n;
  const { code, detail } = refusal;
  return new CliError(code, `commit ${version} is refused: ${detail}`, {
    exit: EXIT.verification,
    details: { version, verified: state.manifest.version },
    lines: [...more, ...explanation(code), 'nothing was done; agents refuse this commit too'],
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
    return await trustIn(new DirectoryControl(paths.control), pin);
  } catch (error) {
    if (error instanceof SourceError) return pin;
    throw error;
  }
}

/** The same by whatever `control` is; a directory must carry the pin. Rejects like `readState`. */
export async function trustOf(control: Control, pin: Trust): Promise<Trust> {
  try {
    await checkPin(control, pin);
    return await trustIn(control, pin);
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    throw new CliError('source-unreadable', error.message, { cause: error });
  }
}

async function trustIn(control: Control, pin: Trust): Promise<Trust> {
  const { version } = pin.document;
  const where = `${control.where}: trust`;
  const stored = decodeJws((await control.trust(version)) ?? pin.jws, trustKind, nodeCrypto);
  const known = 'claimed' in stored && stored.digest === pin.digest;
  if (!known) {
    const fault = 'code' in stored ? stored : refuse('trust-previous', 'it is not the pinned one');
    const detail = `${where} ${version}: ${fault.detail}`;
    throw cliError({ ...fault, detail }, { exit: EXIT.verification });
  }
  const { trust, refused } = await readTrust(pin, { source: control, crypto: nodeCrypto });
  const [fault] = refused;
  if (fault === undefined || fault.code === 'rollback') return trust;
  throw cliError({ ...fault, detail: `${where}: ${fault.detail}` }, { exit: EXIT.verification });
}

/**
 * The directory must carry the pinned trust document. Attack, or a volume that is not mounted: an
 * empty folder would look like a cluster before its first commit.
 */
async function checkPin(control: Control, pin: Trust): Promise<void> {
  const { version } = pin.document;
  if (control.kind === 'agents' || (await control.trust(version)) !== null) return;
  const lines = ['it is no control directory, or its volume is not mounted'];
  const message = `${control.where} has no trust/${version}.json`;
  throw new CliError('source-unreadable', message, { lines });
}

/** Attack: one commit taken away, so that the head looks older. What lies beyond the hole tells. */
async function checkEnd({ control, holder }: State): Promise<void> {
  const head = holder.state.manifest.version;
  const beyond = await control.beyondHole(head);
  if (beyond === null) return;
  const detail = `commit ${head + 1n} is missing, commit ${beyond} is there`;
  throw cliError(refuse('gap', detail), {
    exit: EXIT.verification,
    details: { version: head + 1n, verified: head },
    lines: ['restore the missing file; a commit in its place would not fit what follows'],
  });
}
