// Following the source: reading from the head on, so that a head that was changed underneath is
// noticed, and taking in what is new. Nothing is waited for between admitting and handing the
// holder back, because a peer's delta may change it at any wait.

import { type Holder, screenCommit } from '../../shared/control/holder.ts';
import { admitBatch, type HolderStorage, verifyBatch } from '../../shared/control/receive.ts';
import { type ControlCode, type Refusal, refuse } from '../../shared/control/refusal.ts';
import type { Trust } from '../../shared/control/trust.ts';
import { COMMITS_PER_READ_MAX } from '../../shared/limits.ts';
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
   * `all`: what is held is all there is. `replaced`: another commit lies in the place of the head.
   * `halted`: the head is gone, or what follows it cannot be judged by this agent.
   */
  readonly state: 'all' | 'replaced' | 'halted' | 'unreadable';
  readonly misplaced: readonly Misplaced[];
  /** null when nothing could be read. */
  readonly read: SourceRead | null;
}

/** `next`: what lies in the place of the next commit and was refused. */
type FollowedCommits = Omit<Followed, 'misplaced'> & { readonly next: Refused | null };

type Refused = {
  readonly version: bigint;
  readonly input: unknown;
  readonly refusal: Refusal;
};

type Ports = Pick<AgentPorts, 'crypto' | 'nowMs'> & {
  readonly source: Pick<AgentPorts['source'], 'read' | 'trust'>;
};

const UNREADABLE: Followed = { state: 'unreadable', misplaced: [], read: null };

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
  { next, ...followed }: FollowedCommits,
  trust: ReadTrust,
  desk: Desk,
  { crypto }: Ports,
): Promise<Followed> {
  const misplaced: Misplaced[] = [];
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
    if (read === null) return { state: 'unreadable', next: null, read };
    const ended = (state: Followed['state'], next: Refused | null = null) => ({
      state,
      next,
      read,
    });
    if (read.wentBack === true) {
      desk.alarm(refuse('rollback', `the source is back at revision ${read.revision}`));
      return ended('halted');
    }
    if (version > 0n && read.commits.length === 0) {
      desk.alarm(refuse('rollback', `the source no longer has commit ${version}`));
      return ended('halted');
    }
    const headHolds = version === 0n || knows(desk.holder, read.commits[0], ports);
    const refusal = await take(read, desk, ports);
    if (!headHolds) return ended('replaced');
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
    if (!moved || read.commits.length < COMMITS_PER_READ_MAX) return ended('all');
  }
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
