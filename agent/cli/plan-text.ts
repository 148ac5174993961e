// A plan for people: what changes, field by field, then whom it touches, then what would be signed.

import { canonical } from '../../shared/canonical.ts';
import { parseKey } from '../../shared/control/record.ts';
import type { BlastRadius, Shift } from './blast-radius.ts';
import type { Change } from './difference.ts';
import { PLAN_TENANTS_SHOWN_MAX } from './limits.ts';
import type { Plan, Summary, TenantCounts } from './plan.ts';
import { type Colour, count, paint, printable, someOf } from './words.ts';

const SIGNS = {
  create: ['+', 'green'],
  update: ['~', 'yellow'],
  delete: ['-', 'red'],
  keep: ['=', 'dim'],
} as const satisfies Record<Change['kind'], readonly [string, Colour]>;

/** Beyond 50 tenants they are counted, and the first ones listed; `full` lists all. */
export function summaryText({ changes, tenants, blastRadius }: Summary, full = false): string {
  const listed = full ? changes : shownChanges(changes);
  const lines = listed.map(changeText);
  const hidden = tenants.total - PLAN_TENANTS_SHOWN_MAX;
  if (!full && hidden > 0) lines.push(...countLines(tenants, hidden));
  if (!changes.some(({ kind }) => kind !== 'keep'))
    return [...lines, 'Nothing to change.'].join('\n');
  return [...lines, '', ...radiusLines(blastRadius)].join('\n');
}

function shownChanges(changes: readonly Change[]): readonly Change[] {
  const shown = new Set<string>();
  return changes.filter(({ key }) => {
    const parsed = parseKey(key);
    if (parsed === null || parsed.kind === 'global') return true;
    if (shown.size < PLAN_TENANTS_SHOWN_MAX) shown.add(parsed.id);
    return shown.has(parsed.id);
  });
}

const BECOMES = {
  create: 'created',
  update: 'changed',
  delete: 'retired',
  keep: 'not in the configuration and kept',
} as const satisfies Record<Change['kind'], string>;

function countLines({ total, kinds, scopes, homes }: TenantCounts, hidden: number): string[] {
  const by = (counts: Readonly<Record<string, number>>) =>
    someOf(
      Object.entries(counts)
        .sort(([, a], [, b]) => b - a)
        .map(([name, many]) => `${name} ${many}`),
    );
  const became = Object.entries(BECOMES).flatMap(([kind, word]) => {
    const many = kinds[kind as Change['kind']];
    return many === 0 ? [] : [`${many} ${word}`];
  });
  return [
    `and ${hidden} more tenants (--full lists all)`,
    `${paint('bold', 'Tenants')}: ${total}: ${became.join(', ')}`,
    `  by scope: ${by(scopes)}`,
    `  by home: ${by(homes)}`,
  ];
}

export function planText({ base, commits }: Plan): string {
  const lines = commits.map(({ class: derived, operations, manifest }, i) => {
    const version = base.version + BigInt(i) + 1n;
    const many = count(operations.length, 'operation');
    const size = operations.length === 0 ? `completes trust ${base.trust}` : many;
    return `  version ${version}: ${size}, class ${derived}, leads to manifest ${manifest}`;
  });
  if (lines.length === 0) return '';
  const on = base.envelope === null ? 'the first commit' : `on version ${base.version}`;
  return [`${count(commits.length, 'commit')}, ${on}:`, ...lines].join('\n');
}

/** Fields of `before` and `after` that differ; a record is a map one level deep. */
function fieldsOf(before: unknown, after: unknown): readonly (readonly [string, string, string])[] {
  const was = asRecord(before);
  const is = asRecord(after);
  const names = [...new Set([...Object.keys(was), ...Object.keys(is)])];
  return names.flatMap((name) => {
    const [old, next] = [textOf(was[name]), textOf(is[name])];
    return old === next ? [] : [[name, old, next] as const];
  });
}

export function changeText(change: Change): string {
  const [sign, colour] = SIGNS[change.kind];
  const head = paint(colour, `${sign} ${change.key}`);
  switch (change.kind) {
    case 'create':
      return [head, ...fieldsOf({}, change.after).map(([name, , is]) => field(name, is))].join(
        '\n',
      );
    case 'update': {
      const fields = fieldsOf(change.before, change.after);
      return [head, ...fields.map(([name, was, is]) => field(name, `${was} -> ${is}`))].join('\n');
    }
    case 'delete':
      return head;
    case 'keep':
      return `${head} is not in the configuration and is kept; --prune deletes it`;
  }
}

function field(name: string, text: string): string {
  return `    ${name.padEnd(12)} ${printable(text)}`;
}

function radiusLines({ tenants, scopes, movers, returning }: BlastRadius): readonly string[] {
  const names = tenants.total === 0 ? '' : `: ${listedNames(tenants)}`;
  const lines = [`${paint('bold', 'Affected')}: ${count(tenants.total, 'tenant')}${names}`];
  lines.push(...scopes.shown.map((each) => shiftText(`scope ${each.id}`, each)));
  lines.push(...more(scopes, 'scopes'));
  lines.push(...movers.shown.map((each) => shiftText(`tenant ${each.id}`, each)));
  lines.push(...more(movers, 'tenants that change their scope'));
  if (returning.total > 0)
    lines.push(`  come back after they were retired: ${listedNames(returning)}`);
  return lines;
}

function listedNames({ total, shown }: BlastRadius['tenants']): string {
  const rest = total - shown.length;
  return rest > 0 ? `${someOf(shown)} and ${rest} more` : someOf(shown);
}

function more({ total, shown }: BlastRadius['scopes'], what: string): readonly string[] {
  return total > shown.length ? [`  and ${total - shown.length} more ${what}`] : [];
}

function shiftText(name: string, { gained, lost, ingress, widens, tenants }: Shift): string {
  const parts = [
    ...(gained.length > 0 ? [`gains ${gained.join(', ')}`] : []),
    ...(lost.length > 0 ? [`loses ${lost.join(', ')}`] : []),
    ...(ingress === null ? [] : [`ingress ${textOf(ingress[0])} -> ${textOf(ingress[1])}`]),
    ...(name.startsWith('scope') ? [count(tenants, 'tenant')] : []),
  ];
  const line = `  ${name} ${parts.join('; ')}`;
  return widens ? paint('red', `${line} (widens: class safety)`) : line;
}

function textOf(value: unknown): string {
  if (value === undefined) return '(nothing)';
  return typeof value === 'string' ? value : canonical(value);
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  const plain = value !== null && typeof value === 'object' && !Array.isArray(value);
  return plain ? (value as Record<string, unknown>) : { value };
}
