// The edges' own record of what they decided, read from their logs, and the same decisions made
// again from the signed commits alone, by the code of `portolan explain --record`.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Again, decideAgain } from '../../agent/cli/recompute.ts';
import { readState } from '../../agent/cli/state.ts';
import { type DecisionRecord, decisionRecordSchema } from '../../shared/steering/explain.ts';
import type { EdgeId } from './demo.ts';
import type { World } from './world.ts';

/** Every decision that an edge location logged, by id. */
export async function decisionsOf(
  world: World,
  edge: EdgeId,
): Promise<ReadonlyMap<string, DecisionRecord>> {
  const text = await readFile(join(world.folder, 'edge', `${edge}.log`), 'utf8');
  const found = new Map<string, DecisionRecord>();
  for (const line of text.split('\n')) {
    if (!line.includes('"kind":"decision"')) continue;
    const record = decisionRecordSchema.parse(JSON.parse(line));
    found.set(record.id, record);
  }
  return found;
}

/**
 * `explain` for records of the head: folds the directory as any auditor could, and decides again.
 */
export async function explainer(world: World): Promise<(record: DecisionRecord) => Again> {
  const { project } = world.deployment;
  const control = await world.deployment.open();
  const state = await readState(project.paths, project.trust, null, control);
  return (record) => decideAgain(record, state);
}
