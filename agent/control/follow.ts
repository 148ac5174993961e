// Following the source: reading from the head on, so that a head that was changed underneath is
// noticed, and taking in what is new. Nothing is waited for between admitting and handing the
// holder back, because a peer's delta may change it at any wait.

import { type Holder, screenCommit } from '../../shared/control/holder.ts';
import { admitBatch, type HolderStorage, verifyBatch } from '../../shared/control/receive.ts';
import { type ControlCode, refuse } from '../../shared/control/refusal.ts';
import type { Trust } from '../../shared/control/trust.ts';
import { COMMITS_PER_READ_MAX } from '../../shared/limits.ts';
import { type AgentPorts, SourceError, type SourceRead } from '../ports.ts';
import { readTrust } from './follow-trust.ts';

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
  /** `all`: what is held is all there is. `halted`: the head is gone, or another one. */
  readonly state: 'all' | 'halted' | 'unreadable';
  /** null when nothing could be read. */
  readonly read: SourceRead | null;
}

type Ports = Pick<AgentPorts, 'source' | 'crypto' | 'nowMs'>;

/** Reads until there is no more: trust first, because commits are judged by it (C5). */
export async function follow(desk: Desk, ports: Ports): Promise<Followed> {
  const trust = await fromSource(desk, () => readTrust(desk.holder.trust, ports));
  if (trust === null) return { state: 'unreadable', read: null };
  for (const refusal of trust.refused) desk.alarm(refusal);
  await desk.trusting(trust.trust);
  for (;;) {
    const { version } = desk.holder.state.manifest;
    const read = await fromSource(desk, () => ports.source.read(version === 0n ? 1n : version));
    if (read === null) return { state: 'unreadable', read };
    if (version > 0n && read.commits.length === 0) {
      desk.alarm(refuse('rollback', `the source no longer has commit ${version}`));
      return { state: 'halted', read };
    }
    const headHolds = version === 0n || knows(desk.holder, read.commits[0], ports);
    const refused = await take(read, desk, ports);
    if (!headHolds) return { state: 'halted', read };
    const moved = desk.holder.state.manifest.version > version;
    if (!moved && read.commits.length > 1 && !refused) {
      desk.alarm(refuse('stale', `what follows commit ${version} in the source is older`));
    }
    if (!moved || read.commits.length < COMMITS_PER_READ_MAX) return { state: 'all', read };
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

/** True when anything was refused. */
async function take(read: SourceRead, desk: Desk, { crypto, nowMs }: Ports): Promise<boolean> {
  const input = { commits: read.commits, attestations: [] };
  const batch = await verifyBatch(desk.holder, input, crypto);
  const taken = admitBatch(desk.holder, batch, desk.storage, nowMs(), crypto);
  desk.advance(taken.holder);
  for (const refusal of taken.refused) desk.alarm(refusal);
  return taken.refused.length > 0;
}

function knows(holder: Holder, commit: unknown, { crypto }: Ports): boolean {
  return screenCommit(holder, commit, 0, crypto).kind === 'known';
}
