// `diff`: what changed between two versions, in the words of `plan`.

import type { Trust } from '../../../shared/control/trust.ts';
import { counterSchema } from '../../../shared/schema.ts';
import { type AgentFlags, controlOf } from '../agents.ts';
import type { Control } from '../control.ts';
import { CliError, EXIT, type Outcome } from '../exit.ts';
import { changeText } from '../plan-text.ts';
import { type ProjectPaths, projectAt, readPin } from '../project.ts';
import { changesBetween, recordsOf } from '../records.ts';
import { readState, type State } from '../state.ts';
import { count } from '../words.ts';

export interface DiffFlags extends AgentFlags {
  readonly project: string;
}

/** `portolan diff V1 [V2]`: from V1 to V2, or to the head. */
export async function diff(
  from: string,
  to: string | undefined,
  flags: DiffFlags,
): Promise<Outcome> {
  const [first, last] = [versionOf(from), to === undefined ? null : versionOf(to)];
  const paths = projectAt(flags.project);
  const trust = await readPin(paths);
  const control = await controlOf(paths, trust, flags);
  const before = await stateAt(paths, trust, first, control);
  const after = await stateAt(paths, trust, last, control);
  const changes = changesBetween(recordsOf(before), recordsOf(after));
  const { version } = after.holder.state.manifest;
  const lines = changes.length === 0 ? ['Nothing differs.'] : changes.map(changeText);
  return {
    exit: EXIT.fine,
    data: { from: first, to: version, changes },
    text: lines.join('\n'),
    notes: [
      `${count(changes.length, 'record')} from version ${first} to version ${version}, verified`,
      ...after.notes,
    ],
  };
}

/** Throws CliError `usage`. */
export function versionOf(text: string): bigint {
  const parsed = counterSchema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new CliError('usage', `${text}: a version is a number`);
}

async function stateAt(
  paths: ProjectPaths,
  trust: Trust,
  version: bigint | null,
  control: Control,
): Promise<State> {
  const state = await readState(paths, trust, version, control);
  const head = state.holder.state.manifest.version;
  if (version === null || head === version) return state;
  throw new CliError('input', `there is no version ${version}; the head is ${head}`);
}
