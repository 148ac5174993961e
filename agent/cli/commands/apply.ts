// `apply`: a saved plan, or what the configuration says now. The key comes by file or standard
// input.

import { randomUUID } from 'node:crypto';
import { parseJson } from '../../../shared/canonical.ts';
import { firstIssue } from '../../../shared/schema.ts';
import { type AgentFlags, controlOf } from '../agents.ts';
import { applyPlan, authorOf, type Landed } from '../apply.ts';
import { CliError, EXIT, type Outcome } from '../exit.ts';
import { looseMode, readText, STDIN } from '../files.ts';
import { PLAN_BYTES_MAX } from '../limits.ts';
import { type Plan, planSchema } from '../plan.ts';
import { projectAt, readPin, readSigner } from '../project.ts';
import { trustOf } from '../state.ts';
import { count } from '../words.ts';
import { planned } from './plan.ts';
import type { ConfigFlags } from './validate.ts';

export interface ApplyFlags extends ConfigFlags, AgentFlags {
  readonly key: string;
  readonly reason: string;
  readonly prune?: boolean;
}

/** `portolan apply [PLAN]`: a saved plan, or the configuration as it is now. */
export async function apply(file: string | undefined, flags: ApplyFlags): Promise<Outcome> {
  if (file === STDIN && flags.key === STDIN) {
    throw new CliError('usage', 'standard input is either the plan or the key');
  }
  if (file !== undefined && (flags.prune === true || flags.config !== undefined)) {
    throw new CliError('usage', 'a saved plan has its configuration: no --prune, no --config');
  }
  const project = projectAt(flags.project);
  const signer = await readSigner(flags.key);
  const { reason } = flags;
  const pin = await readPin(project);
  const control = await controlOf(project, pin, flags, signer);
  const author = authorOf(await trustOf(control, pin), { signer, reason });
  const plan =
    file === undefined ? (await planned(project, flags, control)).plan : await readPlan(file);
  const loose = await looseMode(flags.key);
  const landed = await applyPlan(project, plan, { signer, reason, opId: randomUUID }, control);
  const warnings = [...(loose === null ? [] : [loose]), ...control.notes()];
  return {
    exit: EXIT.fine,
    data: { author, commits: landed, warnings },
    text: landed.length === 0 ? 'Nothing to change.' : landed.map(landedText).join('\n'),
    notes: [...inForce(landed), ...warnings],
  };
}

/** When what was taken away is gone everywhere; `status` shows how far it has come. */
function inForce(landed: readonly Landed[]): readonly string[] {
  const last = landed.at(-1);
  if (last === undefined) return [];
  const at = new Date(Date.now() + last.inForceS * 1000).toISOString();
  return [`In force within seconds, and at ${at} also at an edge that is cut off.`];
}

function landedText({ version, operations, envelope, manifest }: Landed): string {
  const size = count(operations, 'operation');
  return `version ${version}: ${size}\n  envelope ${envelope}\n  manifest ${manifest}`;
}

async function readPlan(file: string): Promise<Plan> {
  const parsed = planSchema.safeParse(parseJson(await readText(file, PLAN_BYTES_MAX))?.value);
  if (parsed.success) return parsed.data;
  throw new CliError('input', `${file}: no plan: ${firstIssue(parsed.error)}`);
}
