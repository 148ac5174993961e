// Following the source: reading from the head on, so that a head that was changed underneath is
// noticed, and taking in what is new. Nothing is waited for between admitting and handing the
// holder back, because a peer's delta may change it at any wait.

import { type Holder, screenCommit } from '../../shared/control/holder.ts';
import { admitBatch, type HolderStorage, verifyBatch } from '../../shared/control/receive.ts';
import { type ControlCode, type Refusal, refuse } from '../../shared/control/refusal.ts';
import type { Trust } from '../../shared/control/trust.ts';
import { COMMITS_PER_READ_MAX } from '../limits.ts';
import { type AgentPorts, type Misplaced, SourceError, type SourceRead } from '../ports.ts';
import { isFinal, isFinalTrust } from './final.ts';
import { type ReadTrust, readTrust } from './follow-trust.ts';

export interface Fault {
  readonly code: ControlCode | SourceError['code'];
  readonly detail: string;
}

/** What the follower works on: the agent's present holder, and where its findings go. */
export interface Desk {
  readonly holder: Holder;
  readonly storage: HolderStorage;
  advance(holder: Holder): void;
  /** Adopts what was read of trust, and keeps it first. */
  trusting(trust: Trust): Promise<void>;
  alarm(fault: Fault): void;
}

export interface Followed {
  /**
   * `all`: what is held is all there is. `replaced`: another commit, or none, lies in the place of
   * the head. `halted`: the source is an older one, or what follows the head cannot be judged by
   * this agent.
   */
  readonly state: 'all' | 'replaced' | 'halted' | 'unreadable';
  /** The source does not have the head that is held, so nothing can be put on top of it. */
  readonly rollback: Refusal | null;
  readonly misplaced: readonly Misplaced[];
  /** null when nothing could be read. */
  readonly read: SourceRead | null;
}

type FollowedCommits = Omit<Followed, 'misplaced'> & {
  /** What lies in the place of the next commit and was refused. */
  readonly next: Refused | null;
  /** The version that was held when it was read. */
  readonly head: bigint;
};

type Refused = {
  readonly version: bigint;
  readonly input: unknown;
  readonly refusal: Refusal;
};

type Ports = Pick<AgentPorts, 'crypto' | 'nowMs'> & {
  readonly source: Pick<AgentPorts['source'], 'read' | 'trust'>;
};

const UNREADABLE: Followed = { state: 'unreadable', rollback: null, misplaced: [], read: null };

/** Reads until there is no more: trust first, because commits are judged by it (C5). */
export async function follow(desk: Desk, ports: Ports): Promise<Followed> {
  let trust = await followTrust(desk, ports);
  while (trust !== null) {
    const { version } = desk.holder.trust.document;
    const followed = await followCommits(desk, ports);
    if (followed.next?.refusal.code !== 'trust-missing') return judge(followed, trust, desk, ports);
    // Its document may have been published after trust was read.
    trust = await followTrust(desk, ports);
    const isSame = desk.holder.trust.document.version === version;
    if (trust !== null && isSame) return judge(followed, trust, desk, ports);
  }
  return UNREADABLE;
}

/** What of the refused is so for ever, and may be taken away. */
async function judge(
  { next, head, ...followed }: FollowedCommits,
  trust: ReadTrust,
  desk: Desk,
  { crypto }: Ports,
): Promise<Followed> {
  const misplaced: Misplaced[] = [];
  if (followed.state === 'replaced') misplaced.push({ kind: 'head', version: head });
  let isOpen = false;
  if (trust.next !== null) {
    const { input, refusal } = trust.next;
    const version = trust.trust.document.version + 1n;
    isOpen = !(await isFinalTrust(refusal, input, trust.trust, crypto));
    if (!isOpen) misplaced.push({ kind: 'trust', version, input });
  }
  if (next === null) return { ...followed, misplaced };
  const { version, input, refusal } = next;
  const isByUnread = isOpen && refusal.code === 'trust-missing';
  if (isByUnread || !(await isFinal(refusal, input, desk.holder.trust, crypto)))
    return { ...followed, state: 'halted', misplaced };
  misplaced.push({ kind: 'commit', version, input });
  return { ...followed, misplaced };
}

/** null: the source cannot be read. */
async function followTrust(desk: Desk, ports: Ports): Promise<ReadTrust | null> {
  const trust = await fromSource(desk, () => readTrust(desk.holder.trust, ports));
  if (trust === null) return null;
  for (const refusal of trust.refused) desk.alarm(refusal);
  await desk.trusting(trust.trust);
  return trust;
}

async function followCommits(desk: Desk, ports: Ports): Promise<FollowedCommits> {
  for (;;) {
    const { version } = desk.holder.state.manifest;
    const from = version === 0n ? 1n : version;
    const read = await fromSource(desk, () => ports.source.read(from));
    if (read === null) return { ...UNREADABLE, next: null, head: version };
    const ended = (state: Followed['state'], next: Refused | null = null): FollowedCommits => {
      return { state, rollback: null, next, head: version, read };
    };
    const rollback = lossOf(version, read);
    if (rollback !== null) {
      desk.alarm(rollback);
      // Whether to write on in a store that was restored is for a person to say (C13).
      const isOlder = read.wentBack === true || read.restored === true;
      return { ...ended(isOlder ? 'halted' : 'replaced'), rollback };
    }
    const headHolds = version === 0n || knows(desk.holder, read.commits[0], ports);
    const refusal = await take(read, desk, ports);
    if (!headHolds) {
      const another = refuse('rollback', `the source has another commit ${version}`);
      return { ...ended('replaced'), rollback: another };
    }
    const next = desk.holder.state.manifest.version + 1n;
    const refused = (why: Refusal) => {
      return ended('all', {
        version: next,
        input: read.commits[Number(next - from)],
        refusal: why,
      });
    };
    if (refusal !== null) return refused(refusal);
    const moved = next > version + 1n;
    if (!moved && read.commits.length > 1) {
      const older = refuse('stale', `what follows commit ${version} in the source is older`);
      desk.alarm(older);
      return refused(older);
    }
    const { commits, more = commits.length >= COMMITS_PER_READ_MAX } = read;
    if (!moved || !more) return ended('all');
  }
}

/** The source does not have the head any more, which is at `version`. */
function lossOf(version: bigint, { commits, wentBack, revision }: SourceRead): Refusal | null {
  if (wentBack === true) return refuse('rollback', `the source is back at revision ${revision}`);
  if (version === 0n || commits.length > 0) return null;
  return refuse('rollback', `the source no longer has commit ${version}`);
}

/** What the source says, or null, with an alarm, when it cannot be read. */
async function fromSource<T>(desk: Desk, read: () => Promise<T>): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    desk.alarm({ code: error.code, detail: error.message });
    return null;
  }
}

/** The first refusal, if anything was refused. */
async function take(
  read: SourceRead,
  desk: Desk,
  { crypto, nowMs }: Ports,
): Promise<Refusal | null> {
  const input = { commits: read.commits, attestations: [] };
  const batch = await verifyBatch(desk.holder, input, crypto);
  const taken = admitBatch(desk.holder, batch, desk.storage, nowMs(), crypto);
  desk.advance(taken.holder);
  for (const refusal of taken.refused) desk.alarm(refusal);
  return taken.refused[0] ?? null;
}

function knows(holder: Holder, commit: unknown, { crypto }: Ports): boolean {
  return screenCommit(holder, commit, 0, crypto).kind === 'known';
}
