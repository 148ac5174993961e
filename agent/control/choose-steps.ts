// Which of the waiting steps go into the next batch: pure, in the order of their arrival. A step
// that only an earlier one of the same batch stands in the way of waits for the next.

import { canonical, utf8Length } from '../../shared/canonical.ts';
import type { Verified } from '../../shared/control/jws.ts';
import { type Ground, stand } from '../../shared/control/provision.ts';
import { isRefusal, type Refusal } from '../../shared/control/refusal.ts';
import { actOf, type Step } from '../../shared/control/step.ts';
import type { Hasher } from '../../shared/crypto.ts';
import {
  BATCH_BYTES_MAX,
  OPERATIONS_PER_COMMIT_MAX,
  STEPS_PER_BATCH_MAX,
} from '../../shared/limits.ts';

/** The batch around its steps: names, digests, commas. */
const BATCH_ROOM_BYTES = 1024;

export interface Choice {
  readonly chosen: readonly Verified<Step>[];
  /** Their effect is there already. */
  readonly landed: readonly Verified<Step>[];
  readonly refused: ReadonlyMap<Verified<Step>, Refusal>;
}

export function chooseSteps(
  waiting: readonly Verified<Step>[],
  ground: Ground,
  hasher: Hasher,
): Choice {
  const chosen: Verified<Step>[] = [];
  const landed: Verified<Step>[] = [];
  const refused = new Map<Verified<Step>, Refusal>();
  let standing = ground;
  let bytes = BATCH_ROOM_BYTES;
  let operations = 0;
  for (const step of waiting) {
    if (hasLanded(step.value, ground)) {
      landed.push(step);
      continue;
    }
    const alone = stand(step.value, ground, hasher);
    if (alone.kind === 'refused') {
      refused.set(step, alone);
      continue;
    }
    const stood = stand(step.value, standing, hasher);
    bytes += utf8Length(canonical(step.jws)) + 1;
    operations += step.value.operations.length;
    const full =
      bytes > BATCH_BYTES_MAX ||
      operations > OPERATIONS_PER_COMMIT_MAX ||
      chosen.length === STEPS_PER_BATCH_MAX;
    if (full) break;
    if (stood.kind === 'refused') continue;
    chosen.push(step);
    standing = stood.ground;
  }
  return { chosen, landed, refused };
}

/**
 * Is the step's own effect in the state? The record names its last step, so whoever asks again, and
 * at whichever agent, is told so, until another step touches the tenant.
 */
export function hasLanded(step: Step, { entry }: Pick<Ground, 'entry'>): boolean {
  const act = actOf(step);
  if (isRefusal(act)) return false;
  const held = entry(act.id);
  if (act.kind === 'retire') return held !== null && held.tenant === undefined;
  return held?.tenant?.step === step.opId;
}
