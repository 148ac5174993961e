// `explain`: what would be decided for a request, or what was decided for a logged one, with the
// reason of every region. Made here, from verified commits and the pin: no agent has to be
// believed.

import type { OperationClass } from '../../../shared/admission/operation.ts';
import { canonical } from '../../../shared/canonical.ts';
import { type Decision, decide } from '../../../shared/steering/decide.ts';
import { type AgentFlags, controlOf } from '../agents.ts';
import { CliError, EXIT, type Outcome } from '../exit.ts';
import { readText } from '../files.ts';
import { SMALL_FILE_BYTES_MAX } from '../limits.ts';
import { projectAt, readPin } from '../project.ts';
import { type Asked, ask, type Question } from '../question.ts';
import { outcomeText, type RegionReason, reasonsOf } from '../reasons.ts';
import { decideAgain, readRecord } from '../recompute.ts';
import { readState, type State } from '../state.ts';
import { paint, printable, table } from '../words.ts';

export interface ExplainFlags extends AgentFlags {
  readonly project: string;
  readonly tenant?: string;
  readonly op?: OperationClass;
  readonly from?: string;
  readonly at?: readonly [number, number];
  readonly colo?: string;
  readonly path?: string;
  readonly client?: string;
  readonly down?: readonly string[];
  readonly record?: string;
}

/** `portolan explain`: a question, or a logged decision. */
export async function explain(flags: ExplainFlags): Promise<Outcome> {
  if (flags.record !== undefined) return explainRecord(flags.record, flags);
  const { project, tenant, op, down = [] } = flags;
  if (tenant === undefined || op === undefined) {
    throw new CliError('usage', 'ask with --tenant and --op, or give a --record');
  }
  const paths = projectAt(project);
  const trust = await readPin(paths);
  const state = await readState(paths, trust, null, await controlOf(paths, trust, flags));
  const { from, at, colo, path, client } = flags;
  const question: Question = { tenant, op, from, at, colo, path, client, down };
  return answer(state, question, ask(state, question));
}

function answer(state: State, { op }: Question, { facts, scene, assumed }: Asked): Outcome {
  const decision = decide(facts, scene);
  const regions = reasonsOf(decision, scene.global, scene.verdicts);
  const decided = decision.admission?.op ?? op;
  const notes = [
    ...(decided === op ? [] : [`The path makes it a ${decided}, whatever --op says.`]),
    ...assumed.map((text) => `assumed: ${text}`),
    ...state.notes,
  ];
  const about = aboutOf(state, scene.tenant);
  return {
    exit: EXIT.fine,
    data: { ...about, op: decided, facts, assumed, outcome: decision.outcome, regions, decision },
    text: [regionTable(regions), '', ...aboutLines(about, decided, decision)].join('\n'),
    notes,
  };
}

function aboutOf({ holder }: State, tenant: Asked['scene']['tenant']) {
  const { manifest, manifestDigest, envelope } = holder.state;
  const known = tenant.kind === 'known' ? tenant : null;
  return {
    tenant: known?.id ?? null,
    scope: known?.tenant.scope ?? null,
    home: known?.placement.home ?? null,
    epoch: known?.placement.epoch ?? null,
    state: known?.placement.state ?? null,
    version: manifest.version,
    manifest: manifestDigest,
    envelope,
  };
}

function aboutLines(
  about: ReturnType<typeof aboutOf>,
  op: OperationClass,
  decision: Decision,
): readonly string[] {
  const { tenant, scope, home, epoch, state, version, manifest, envelope } = about;
  const chosen = decision.outcome.kind === 'forward';
  return [
    paint(chosen ? 'green' : 'red', `${op}: ${outcomeText(decision)}`),
    `tenant   ${tenant ?? '-'}, scope ${scope ?? '-'}`,
    `home     ${home ?? '-'}, epoch ${epoch ?? '-'}, ${state ?? '-'}`,
    `version  ${version}`,
    `manifest ${manifest}`,
    `envelope ${envelope ?? '-'}`,
  ];
}

function regionTable(regions: readonly RegionReason[]): string {
  const rows = regions.map(({ region, verdict, distance, reason, chosen }) => {
    const cells = [region, verdict, distance, reason];
    return chosen ? { cells, colour: 'green' as const } : { cells };
  });
  return table(['REGION', 'VERDICT', 'DISTANCE', 'REASON'], rows);
}

async function explainRecord(file: string, flags: ExplainFlags): Promise<Outcome> {
  if (flags.tenant !== undefined || flags.op !== undefined) {
    throw new CliError('usage', 'a --record answers for itself: no --tenant, no --op');
  }
  const record = readRecord(await readText(file, SMALL_FILE_BYTES_MAX));
  const paths = projectAt(flags.project);
  const trust = await readPin(paths);
  const control = await controlOf(paths, trust, flags);
  const state = await readState(paths, trust, record.basis.version, control);
  const again = decideAgain(record, state);
  const { decision } = again;
  const regions = reasonsOf(decision, state.holder.state.global, record.seen.verdicts);
  const { version } = record.basis;
  if (again.kind === 'different') {
    const { path, recorded, recomputed } = again.first;
    const message = `the decision at version ${version} comes out different at ${path}`;
    throw new CliError('different', message, {
      details: { first: again.first, id: record.id, version },
      lines: [`recorded:   ${shown(recorded)}`, `recomputed: ${shown(recomputed)}`],
    });
  }
  const same = `the same decision: ${outcomeText(decision)}, at version ${version}`;
  return {
    exit: EXIT.fine,
    data: { same: true, id: record.id, version, outcome: decision.outcome, regions, decision },
    text: [regionTable(regions), '', paint('green', same)].join('\n'),
    notes: state.notes,
  };
}

function shown(value: unknown): string {
  return value === undefined ? '(nothing)' : printable(canonical(value));
}
