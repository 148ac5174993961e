// The edges' own record of what they decided, read from their logs, and the same decisions made
// again from the signed commits alone.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nodeCrypto } from '../../agent/adapters/crypto.ts';
import { Pieces } from '../../agent/control/pieces.ts';
import { lookUpTenant } from '../../shared/admission/tenant.ts';
import { emptyHolder } from '../../shared/control/holder.ts';
import { admitBatch, verifyBatch } from '../../shared/control/receive.ts';
import {
  type DecisionRecord,
  decisionRecordSchema,
  type Recomputed,
  recompute,
} from '../../shared/steering/explain.ts';
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
export async function explainer(world: World): Promise<(record: DecisionRecord) => Recomputed> {
  const { trust, control } = world.deployment;
  const { holder: empty, writes } = emptyHolder(trust, nodeCrypto);
  const pieces = new Pieces(writes, empty.state.manifest.global);
  const { commits } = await control.read(1n);
  const batch = await verifyBatch(empty, { commits, attestations: [] }, nodeCrypto);
  const { holder, refused } = admitBatch(empty, batch, pieces, 0, nodeCrypto);
  if (refused.length > 0) throw new Error(`the directory is refused: ${JSON.stringify(refused)}`);
  const { manifest, manifestDigest, global } = holder.state;
  const { cluster, generation, version, lamport } = manifest;
  const basis = { cluster, generation, version, lamport, manifest: manifestDigest };
  return (record) => {
    const tenant = lookUpTenant(record.facts.host, manifest, pieces.nodes, nodeCrypto);
    if (tenant.kind === 'missing') throw new Error(`a full holder lacks ${tenant.digest}`);
    return recompute(record, { basis: { ...basis, commitIndex: null }, global, tenant });
  };
}
