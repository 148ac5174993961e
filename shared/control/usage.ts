// How many tenants stand on each global record, and which slots were ever given. With these counts
// a change of a scope, a policy or a site is judged from the global part alone, without reading
// every tenant; because the fold keeps them, they are in the manifest and every party agrees on
// them. Zero counts are not stored, so equal usage has one form.

import * as z from 'zod/mini';
import { idSchema } from '../schema.ts';
import type { Global, TenantEntry } from './record.ts';

const countSchema = z.int().check(z.gte(1));

export const usageSchema = z.strictObject({
  /** scope -> home -> tenants. */
  scopes: z.record(idSchema, z.record(idSchema, countSchema)),
  /** policy -> tenants. */
  policies: z.record(idSchema, countSchema),
  /** slot -> the one site that ever had it: epochs minted with a slot outlive its site (F1). */
  slots: z.record(z.string().check(z.regex(/^[1-9][0-9]?$/)), idSchema),
});

export type Usage = z.infer<typeof usageSchema>;

export const EMPTY_USAGE: Usage = { scopes: {}, policies: {}, slots: {} };

export function homesOf(usage: Usage, scope: string): Readonly<Record<string, number>> {
  return usage.scopes[scope] ?? {};
}

/** `usage` after tenants went from the first to the second form of each pair. */
export function recount(
  usage: Usage,
  edits: Iterable<{ readonly before: TenantEntry | null; readonly after: TenantEntry }>,
): Usage {
  const next: Usage = structuredCopy(usage);
  for (const { before, after } of edits) {
    if (before !== null) count(next, before, -1);
    count(next, after, 1);
  }
  return next;
}

/** `usage` with the slots of the regions in `global`; a slot once given stays given. */
export function withSlots(usage: Usage, global: Global): Usage {
  const slots: Record<string, string> = { ...usage.slots };
  for (const [id, site] of Object.entries(global.sites)) if (site.region) slots[site.slot] ??= id;
  return { ...usage, slots };
}

function count(usage: Usage, { tenant, placement }: TenantEntry, by: 1 | -1): void {
  if (tenant === undefined) return;
  usage.scopes[tenant.scope] ??= {};
  const homes = usage.scopes[tenant.scope] ?? {};
  add(homes, placement.home, by);
  if (Object.keys(homes).length === 0) delete usage.scopes[tenant.scope];
  add(usage.policies, tenant.policy, by);
}

function add(counts: Record<string, number>, key: string, by: 1 | -1): void {
  const next = (counts[key] ?? 0) + by;
  if (next === 0) delete counts[key];
  else counts[key] = next;
}

function structuredCopy(usage: Usage): Usage {
  const scopes = Object.entries(usage.scopes).map(([id, homes]) => [id, { ...homes }] as const);
  const { policies, slots } = usage;
  return { scopes: Object.fromEntries(scopes), policies: { ...policies }, slots: { ...slots } };
}
