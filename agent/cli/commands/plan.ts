// `plan`: the difference shown, and saved where it should be applied as it was read.

import { toWire } from '../../../shared/canonical.ts';
import { replaceFile } from '../../adapters/durable-file.ts';
import { type AgentFlags, controlOf } from '../agents.ts';
import { readConfig } from '../config.ts';
import type { Control } from '../control.ts';
import { CliError, cliError, EXIT, type Outcome } from '../exit.ts';
import { makePlan, type Plan, type Summary } from '../plan.ts';
import { planText, summaryText } from '../plan-text.ts';
import { type ProjectPaths, projectAt, readPin } from '../project.ts';
import { readState, trustOf } from '../state.ts';
import { type ConfigFlags, configPath } from './validate.ts';

export interface PlanFlags extends ConfigFlags, AgentFlags {
  readonly out?: string;
  readonly prune?: boolean;
  readonly detailedExitcode?: boolean;
  /** List every change, however many. */
  readonly full?: boolean;
}

const PLAN_MODE = 0o644;

/** `portolan plan` */
export async function plan(flags: PlanFlags): Promise<Outcome> {
  const { plan: made, summary, notes: found } = await planned(projectAt(flags.project), flags);
  const differs = made.commits.length > 0;
  const notes = [...found];
  if (flags.out !== undefined) {
    await write(flags.out, `${JSON.stringify(toWire({ ...made, summary }))}\n`);
    notes.push(`The plan is in ${flags.out}; apply it with: portolan apply ${flags.out}`);
  }
  const parts = [summaryText(summary, flags.full), planText(made)].filter((text) => text !== '');
  return {
    exit: differs && flags.detailedExitcode === true ? EXIT.differences : EXIT.fine,
    data: { differs, plan: { ...made, summary } },
    text: parts.join('\n\n'),
    notes,
  };
}

/** The plan, or its refusal as the end of the command, with the difference shown all the same. */
export async function planned(
  project: ProjectPaths,
  flags: PlanFlags,
  known?: Control,
): Promise<{
  readonly plan: Plan;
  readonly summary: Summary;
  readonly notes: readonly string[];
}> {
  const pin = await readPin(project);
  const control = known ?? (await controlOf(project, pin, flags));
  const trust = await trustOf(control, pin);
  const { config } = await readConfig(configPath(flags), trust.document);
  const state = await readState(project, trust, null, control);
  const outcome = makePlan(state, config, flags.prune === true);
  if (outcome.kind === 'planned') return { ...outcome, notes: state.notes };
  const { refusal, summary } = outcome;
  throw cliError(refusal, {
    details: summary === null ? {} : { summary },
    text: summary === null ? '' : summaryText(summary, flags.full),
  });
}

async function write(path: string, text: string): Promise<void> {
  try {
    await replaceFile(path, text, PLAN_MODE);
  } catch (error) {
    throw new CliError('failure', `${path}: ${String(error)}`, { cause: error });
  }
}
