// One request, from facts to answer: read facts, make sure of verified state, decide, then forward
// or refuse. The state may be loaded on the way; the decision itself waits for nothing.

import type { Facts } from '../../shared/admission/facts.ts';
import { COLD_BUDGET_MS, SOFT_AGE_MS } from '../../shared/limits.ts';
import { type Decision, decide } from '../../shared/steering/decide.ts';
import { recordOf } from '../../shared/steering/explain.ts';
import type { SteeringCode } from '../../shared/steering/refusal.ts';
import type { Scene } from '../../shared/steering/scene.ts';
import { readFacts } from '../admission/facts.ts';
import { findTenant, refresh } from '../control/refresh.ts';
import type { Standing, View } from '../control/view.ts';
import type { EdgePorts } from '../env.ts';
import { answerRefusal } from './answer.ts';
import { forward } from './forward.ts';

const DECISION_ID_BYTES = 16;

export async function handle(request: Request, view: View, ports: EdgePorts): Promise<Response> {
  const id = ports.random(DECISION_ID_BYTES).toHex();
  const refused = (code: SteeringCode) => {
    view.count(code);
    return answerRefusal(code, id, ports.random(1)[0] ?? 0);
  };
  /** Refused before there was a decision: the log says why, for the id that the client gets. */
  const undecided = (code: SteeringCode) => {
    if (ports.logDecisions !== 'none') ports.log({ kind: 'refusal', id, code });
    return refused(code);
  };
  const read = readFacts(request);
  if (read.kind === 'malformed') return undecided(read.code);
  const { facts } = read;
  refreshWhenSoft(view, ports, facts.colo);
  const decided = await decideWith(view, facts, ports);
  if (decided === null) return undecided('no-state');
  const { scene, decision } = decided;
  log(id, facts, scene, decision, ports);
  const { outcome, admission, basis } = decision;
  if (outcome.kind === 'refuse' || admission === null) {
    return refused(outcome.kind === 'refuse' ? outcome.code : 'residency');
  }
  try {
    const chosen = { id, facts, outcome, admission, basis, ageMs: scene.ageMs };
    return await forward(request, chosen, ports, (words) => {
      ports.background(view.hear(words, ports.nowMs()));
    });
  } catch (error) {
    ports.log({ kind: 'gateway', id, region: outcome.region, error: String(error) });
    return refused('gateway-unreachable');
  }
}

interface Decided {
  readonly scene: Scene;
  readonly decision: Decision;
}

/**
 * Decides on what is held. Where that is not enough (a node is missing, all is missing, or too
 * old), gets more within the cold budget and decides again (E3); where nobody has it, on the
 * version before (E6). Null: no verified state could be had.
 */
async function decideWith(view: View, facts: Facts, ports: EdgePorts): Promise<Decided | null> {
  const held = decideHeld(view, view.standing, facts, ports.nowMs());
  if (held !== null && !isExpired(held)) return held;
  const better = await within(COLD_BUDGET_MS, decideLoading(view, facts, ports), ports);
  return better ?? held ?? decideBefore(view, facts, ports.nowMs());
}

/** Whom the version before does not know may have come with the one that cannot be had. */
function decideBefore(view: View, facts: Facts, nowMs: number): Decided | null {
  const decided = decideHeld(view, view.before, facts, nowMs);
  return decided?.scene.tenant.kind === 'known' ? decided : null;
}

function isExpired({ decision: { outcome } }: Decided): boolean {
  return outcome.kind === 'refuse' && outcome.code === 'state-expired';
}

/** Waits for nothing, so it arms no timer: the way of nearly every request. */
function decideHeld(
  view: View,
  standing: Standing | null,
  facts: Facts,
  nowMs: number,
): Decided | null {
  if (standing === null) return null;
  const tenant = view.lookUp(facts.host, standing);
  if (tenant.kind === 'missing') return null;
  const scene: Scene = {
    basis: view.basis(standing, nowMs),
    global: standing.global,
    tenant,
    verdicts: view.verdicts(standing, nowMs),
    ageMs: view.ageMs(nowMs, standing),
    behind: view.isBehind(standing),
  };
  return { scene, decision: decide(facts, scene) };
}

async function decideLoading(view: View, facts: Facts, ports: EdgePorts): Promise<Decided | null> {
  const deadlineMs = ports.nowMs() + COLD_BUDGET_MS;
  const first = await withNodes(view, facts, ports, deadlineMs);
  if (first !== null && !isExpired(first)) return first;
  await refresh(view, ports, facts.colo, deadlineMs);
  return withNodes(view, facts, ports, deadlineMs);
}

async function withNodes(
  view: View,
  facts: Facts,
  ports: EdgePorts,
  deadlineMs: number,
): Promise<Decided | null> {
  const { standing } = view;
  if (standing === null) return null;
  await findTenant(view, standing, facts.host, ports, facts.colo, deadlineMs);
  return decideHeld(view, view.standing, facts, ports.nowMs());
}

/** In the background, one at a time: no request waits for another's refresh (E3). */
function refreshWhenSoft(view: View, ports: EdgePorts, colo: string | undefined): void {
  const nowMs = ports.nowMs();
  const held = view.standing !== null;
  if (held && view.ageMs(nowMs) > SOFT_AGE_MS && view.mark(nowMs)) {
    ports.background(refresh(view, ports, colo));
  }
}

/** What `work` comes to in time; null when it does not (E3). */
async function within<T>(ms: number, work: Promise<T>, ports: EdgePorts): Promise<T | null> {
  try {
    return await Promise.race([work, ports.timeout(ms, 'cold')]);
  } catch {
    return null;
  }
}

function log(
  id: string,
  facts: Facts,
  scene: Scene,
  decision: Decision,
  { log: write, logDecisions }: EdgePorts,
): void {
  const forwarded = decision.outcome.kind === 'forward';
  if (logDecisions === 'all' || (logDecisions === 'refused' && !forwarded)) {
    write(recordOf(id, facts, scene, decision));
  }
}
