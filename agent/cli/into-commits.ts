// Operations into commits (C2): one commit whenever it fits, because one is all or nothing. Where
// it does not fit, in an order in which each commit is legal by itself: what others stand on first,
// what they stood on last.
//
// Units are never torn apart: a new tenant without its placement is illegal, and tenants between
// which a host moves change in one step, or the host would be taken twice or served by nobody.

import { canonical, utf8Length } from '../../shared/canonical.ts';
import type { Operation } from '../../shared/control/envelope.ts';
import { globalKinds } from '../../shared/control/record.ts';
import { COMMIT_BYTES_MAX, OPERATIONS_PER_COMMIT_MAX } from '../../shared/limits.ts';
import { type Change, type Difference, operationOf, type TenantDifference } from './difference.ts';
import { CliError } from './exit.ts';
import { ENVELOPE_ROOM_BYTES } from './limits.ts';
import { someOf } from './words.ts';

type Unit = readonly Operation[];

/** Rejects by throwing CliError `too-large` when what must stay together fits no commit. */
export function intoCommits(difference: Difference): readonly (readonly Operation[])[] {
  const commits: Operation[][] = [];
  let bytes = 0;
  for (const unit of unitsOf(difference)) {
    const size = utf8Length(canonical(unit));
    if (unit.length > OPERATIONS_PER_COMMIT_MAX || size > COMMIT_BYTES_MAX - ENVELOPE_ROOM_BYTES) {
      const some = someOf(
        unit.map(({ key }) => key),
        3,
      );
      throw new CliError('too-large', `these belong together and fit no commit: ${some}`);
    }
    const last = commits.at(-1);
    const fits =
      last !== undefined &&
      last.length + unit.length <= OPERATIONS_PER_COMMIT_MAX &&
      bytes + size <= COMMIT_BYTES_MAX - ENVELOPE_ROOM_BYTES;
    if (fits) {
      last.push(...unit);
      bytes += size;
    } else {
      commits.push([...unit]);
      bytes = size;
    }
  }
  return commits;
}

function unitsOf({ global, tenants }: Difference): readonly Unit[] {
  const deleted = ({ kind }: Change) => kind === 'delete';
  const puts = global.filter((change) => !deleted(change));
  const deletes = global.filter(deleted).toSorted((a, b) => rankOf(b) - rankOf(a));
  const groups = groupsByHost(tenants);
  const retiring = (group: readonly TenantDifference[]) =>
    group.every(({ after }) => after === null);
  return [
    ...puts.map(operationsOf),
    ...groups.filter((group) => !retiring(group)).map(unitOf),
    ...groups.filter(retiring).map(unitOf),
    ...deletes.map(operationsOf),
  ].filter((unit) => unit.length > 0);
}

/** Deleted from the back: a scope before the site that it names. */
function rankOf({ key }: Change): number {
  return globalKinds.findIndex((kind) => key.startsWith(`global/${kind}/`));
}

function operationsOf(change: Change): Unit {
  const operation = operationOf(change);
  return operation === null ? [] : [operation];
}

function unitOf(group: readonly TenantDifference[]): Unit {
  return group.flatMap(({ changes }) => changes.flatMap(operationsOf));
}

/** Tenants that a host ties together: one gives it up, the other takes it. */
function groupsByHost(
  tenants: readonly TenantDifference[],
): readonly (readonly TenantDifference[])[] {
  const owners = new Map<string, TenantDifference>();
  for (const tenant of tenants) {
    for (const host of tenant.before?.tenant?.hosts ?? []) owners.set(host, tenant);
  }
  const groups = new Map<TenantDifference, TenantDifference[]>();
  for (const tenant of tenants) groups.set(tenant, [tenant]);
  for (const tenant of tenants) {
    for (const host of tenant.after?.tenant.hosts ?? []) join(groups, tenant, owners.get(host));
  }
  return [...new Set(groups.values())];
}

function join<T>(groups: Map<T, T[]>, a: T, b: T | undefined): void {
  const into = groups.get(a);
  const from = b === undefined ? undefined : groups.get(b);
  if (into === undefined || from === undefined || into === from) return;
  into.push(...from);
  for (const member of from) groups.set(member, into);
}
