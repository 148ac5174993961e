// Operations, parsed: what a commit puts and deletes, by record. Order inside one commit means
// nothing, so a key may be named once.

import { canonical, toWire, utf8Length } from '../canonical.ts';
import { RECORD_BYTES_MAX } from '../limits.ts';
import { firstIssue } from '../schema.ts';
import type { Operation } from './envelope.ts';
import {
  type GlobalKind,
  globalSchema,
  type Placement,
  parseKey,
  placementSchema,
  type RecordKey,
  type Tenant,
  tenantSchema,
} from './record.ts';
import { type Refusal, refuse } from './refusal.ts';

export interface TenantEdit {
  /** undefined: untouched; null: deleted. */
  tenant?: Tenant | null;
  placement?: Placement;
}

export interface GlobalEdit {
  readonly collection: GlobalKind;
  readonly id: string;
  /** null: deleted. In wire form until the whole global part is parsed. */
  readonly value: unknown;
}

export interface Edits {
  readonly kind: 'edits';
  readonly global: readonly GlobalEdit[];
  readonly tenants: ReadonlyMap<string, TenantEdit>;
}

/** Refusals: operations (key, duplicate), record (schema, size), placement (deletion). */
export function parseOperations(operations: readonly Operation[]): Edits | Refusal {
  const seen = new Set<string>();
  const global: GlobalEdit[] = [];
  const tenants = new Map<string, TenantEdit>();
  for (const operation of operations) {
    const key = parseKey(operation.key);
    if (key === null) return refuse('operations', `no such key: ${operation.key}`);
    if (seen.has(operation.key)) return refuse('operations', `${operation.key} is named twice`);
    seen.add(operation.key);
    const value = operation.op === 'put' ? toWire(operation.value) : null;
    if (operation.op === 'put' && value === null) return refuse('record', `${operation.key}: null`);
    if (utf8Length(canonical(value)) > RECORD_BYTES_MAX) {
      return refuse('record', `${operation.key} is over ${RECORD_BYTES_MAX} bytes`);
    }
    const fault = add(key, value, global, tenants);
    if (fault !== null) return fault;
  }
  return { kind: 'edits', global, tenants };
}

function add(
  key: RecordKey,
  value: unknown,
  global: GlobalEdit[],
  tenants: Map<string, TenantEdit>,
): Refusal | null {
  if (key.kind === 'global') {
    const schema = globalSchema.shape[key.collection];
    const parsed = value === null ? null : schema.safeParse({ [key.id]: value });
    if (parsed !== null && !parsed.success) {
      return refuse('record', `global/${key.collection}/${firstIssue(parsed.error)}`);
    }
    global.push({ collection: key.collection, id: key.id, value });
    return null;
  }
  const edit = tenants.get(key.id) ?? {};
  tenants.set(key.id, edit);
  if (key.kind === 'placement') {
    // Its epoch would be forgotten, and with it the fence against a stale home (F1, I2).
    if (value === null) return refuse('placement', `${key.id}: a placement is never deleted`);
    const parsed = placementSchema.safeParse(value);
    if (!parsed.success) return refuse('record', `${key.id} placement ${firstIssue(parsed.error)}`);
    edit.placement = parsed.data;
    return null;
  }
  const parsed = value === null ? null : tenantSchema.safeParse(value);
  if (parsed !== null && !parsed.success) {
    return refuse('record', `${key.id} tenant ${firstIssue(parsed.error)}`);
  }
  edit.tenant = parsed === null ? null : parsed.data;
  return null;
}
