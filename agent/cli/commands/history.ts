// `history`: the commits as every receiver judges them. One that does not verify is not listed: the
// command ends instead. Through agents it also says how far each has come, by the sites' own signed
// words, counted here.

import { sitesBehind } from '../../../shared/control/activation.ts';
import { compareVersions } from '../../../shared/control/chain.ts';
import { type Holder, receiveAll, verifyAttestations } from '../../../shared/control/holder.ts';
import { nodeCrypto } from '../../adapters/crypto.ts';
import { type AgentFlags, controlOf } from '../agents.ts';
import { EXIT, type Outcome } from '../exit.ts';
import { projectAt, readPin } from '../project.ts';
import { type Commit, readState, type State } from '../state.ts';
import { count, table } from '../words.ts';

export interface HistoryFlags extends AgentFlags {
  readonly project: string;
  readonly limit?: number;
}

interface Standing {
  readonly state: 'active' | 'pending';
  readonly attestedBy: readonly string[];
}

/** `portolan history`: newest first, and only what verifies. */
export async function history(flags: HistoryFlags): Promise<Outcome> {
  const paths = projectAt(flags.project);
  const trust = await readPin(paths);
  const control = await controlOf(paths, trust, flags);
  const state = await readState(paths, trust, null, control);
  const attested = await attestedHolder(state);
  const { commits, holder } = state;
  const { generation, version, cluster } = holder.state.manifest;
  const newest = commits.toReversed().slice(0, flags.limit ?? commits.length);
  const shown = newest.map((commit) => ({ ...commit, ...standingOf(commit, attested) }));
  const head = { generation, version, envelope: holder.state.envelope };
  const sum = `${count(commits.length, 'commit')}, every signature and digest verified`;
  return {
    exit: EXIT.fine,
    data: { cluster, head, total: commits.length, verified: true, commits: shown },
    text: commits.length === 0 ? 'No commit yet.' : historyTable(shown, attested !== null),
    notes: [...(commits.length === 0 ? [] : [sum]), ...state.notes],
  };
}

/** null: nobody was asked who knows. */
async function attestedHolder({ control, holder, trust }: State): Promise<Holder | null> {
  const words = await control.attestations();
  if (words === null) return null;
  const { verified } = await verifyAttestations(holder.book, words, trust, nodeCrypto);
  return receiveAll(holder, verified, Date.now()).holder;
}

function standingOf(commit: Commit, attested: Holder | null): Standing | null {
  if (attested === null) return null;
  const { active } = attested;
  const isActive = active !== null && compareVersions(commit, active) <= 0;
  const attestedBy = sitesBehind(commit, { ...attested, nowMs: Date.now() });
  return { state: isActive ? 'active' : 'pending', attestedBy };
}

function historyTable(shown: readonly (Commit & Partial<Standing>)[], isAttested: boolean): string {
  const rows = shown.map((commit) => {
    const { version, author, class: derived, operations, digest, reason } = commit;
    const { state = '-', attestedBy = [] } = commit;
    const standing = isAttested ? [state, attestedBy.join(' ')] : [];
    const cells = [`${version}`, author, derived, `${operations}`, ...standing, digest, reason];
    return state === 'pending' ? { cells, colour: 'yellow' as const } : { cells };
  });
  const standing = isAttested ? ['STATE', 'ATTESTED BY'] : [];
  const columns = ['VERSION', 'AUTHOR', 'CLASS', 'OPERATIONS', ...standing, 'ENVELOPE', 'REASON'];
  return table(columns, rows);
}
