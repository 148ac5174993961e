// `plan`: the difference shown, and saved where it should be applied as it was read.

import { toWire } from '../../../shared/canonical.ts';
import { replaceFile } from '../../adapters/durable-file.ts';
import { readConfig } from '../config.ts';
import { CliError, cliError, EXIT, type Outcome } from '../exit.ts';
import { makePlan, type Plan, type Summary } from '../plan.ts';
import { planText, summaryText } from '../plan-text.ts';
import { type ProjectPaths, projectAt } from '../project.ts';
import { readState, trustHere } from '../state.ts';
import { type ConfigFlags, configPath } from './validate.ts';

export interface PlanFlags extends ConfigFlags {
  readonly out?: string;
  readonly prune?: boolean;
  readonly detailedExitcode?: boolean;
}

const PLAN_MODE = 0o644;

/** `portolan plan` */
export async function plan(flags: PlanFlags): Promise<Outcome> {
  const { plan: made, summary } = await planned(projectAt(flags.project), flags);
  const differs = made.commits.length > 0;
  const notes: string[] = [];
  if (flags.out !== undefined) {
    await write(flags.out, `${JSON.stringify(toWire({ ...made, summary }))}\n`);
    notes.push(`The plan is in ${flags.out}; apply it with: portolan apply ${flags.out}`);
  }
  const parts = [summaryText(summary), planText(made)].filter((text) => text !== '');
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
): Promise<{ readonly plan: Plan; readonly summary: Summary }> {
  const trust = await trustHere(project);
  const { config } = await readConfig(configPath(flags), trust.document);
  const state = await readState(project, trust);
  const outcome = makePlan(state, config, flags.prune === true);
  if (outcome.kind === 'planned') return outcome;
  const { refusal, summary } = outcome;
  throw cliError(refusal, {
    details: summary === null ? {} : { summary },
    text: summary === null ? '' : summaryText(summary),
  });
}

async function write(path: string, text: string): Promise<void> {
  try {
    await replaceFile(path, text, PLAN_MODE);
  } catch (error) {
    throw new CliError('failure', `${path}: ${String(error)}`, { cause: error });
  }
}
