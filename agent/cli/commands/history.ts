// `history`: the commits, newest first. What does not verify is not listed: the command ends
// instead.

import { EXIT, type Outcome } from '../exit.ts';
import { projectAt, readPin } from '../project.ts';
import { readState } from '../state.ts';
import { count, table } from '../words.ts';

export interface HistoryFlags {
  readonly project: string;
  readonly limit?: number;
}

/** `portolan history`: newest first, and only what verifies. */
export async function history({ project, limit }: HistoryFlags): Promise<Outcome> {
  const paths = projectAt(project);
  const trust = await readPin(paths);
  const { commits, holder } = await readState(paths, trust);
  const { generation, version, cluster } = holder.state.manifest;
  const shown = commits.toReversed().slice(0, limit ?? commits.length);
  const rows = shown.map((commit) => {
    const { version: at, author, class: derived, operations, digest, reason } = commit;
    return { cells: [`${at}`, author, derived, `${operations}`, digest, reason] };
  });
  const head = { generation, version, envelope: holder.state.envelope };
  const sum = `${count(commits.length, 'commit')}, every signature and digest verified`;
  const columns = ['VERSION', 'AUTHOR', 'CLASS', 'OPERATIONS', 'ENVELOPE', 'REASON'];
  return {
    exit: EXIT.fine,
    data: { cluster, head, total: commits.length, verified: true, commits: shown },
    text: commits.length === 0 ? 'No commit yet.' : table(columns, rows),
    notes: commits.length === 0 ? [] : [sum],
  };
}
