// `show`: one thing of the verified state: a record by its key, a tenant with all that it stands
// on, or a commit with its operations.

import { canonical, toWire } from '../../../shared/canonical.ts';
import { newest } from '../../../shared/control/chain.ts';
import { envelopeKind } from '../../../shared/control/envelope.ts';
import { decodeJws } from '../../../shared/control/jws.ts';
import { nodeCrypto } from '../../adapters/crypto.ts';
import { type AgentFlags, controlOf } from '../agents.ts';
import { CliError, EXIT, type Outcome } from '../exit.ts';
import { hint } from '../nearest.ts';
import { projectAt, readPin } from '../project.ts';
import { type Records, recordsOf } from '../records.ts';
import { readState, type State } from '../state.ts';
import { count, printable } from '../words.ts';
import { versionOf } from './diff.ts';

export interface ShowFlags extends AgentFlags {
  readonly project: string;
}

const KINDS = ['tenant', 'version'];

/** `portolan show KEY`, `show tenant ID`, `show version N` */
export async function show(
  what: string,
  name: string | undefined,
  flags: ShowFlags,
): Promise<Outcome> {
  if (name === undefined && !what.includes('/')) {
    const message = KINDS.includes(what) ? `${what} which?` : `${what}: no key${hint(what, KINDS)}`;
    throw new CliError('usage', `${message} (show KEY, show tenant ID, show version N)`);
  }
  if (name !== undefined && !KINDS.includes(what)) {
    throw new CliError('usage', `show ${what}: tenant or version${hint(what, KINDS)}`);
  }
  const paths = projectAt(flags.project);
  const trust = await readPin(paths);
  const control = await controlOf(paths, trust, flags);
  const version = what === 'version' ? versionOf(name ?? '') : null;
  const state = await readState(paths, trust, version, control);
  if (version !== null) return showVersion(state, version);
  return name === undefined ? showRecord(state, what) : showTenant(state, name);
}

function showRecord(state: State, key: string): Outcome {
  const records = recordsOf(state);
  if (!records.has(key)) {
    const { version } = state.holder.state.manifest;
    throw new CliError('input', `version ${version} has no ${key}${hint(key, records.keys())}`);
  }
  const value = records.get(key);
  return outcome(state, { key, value }, [printable(key), ...linesOf(value)]);
}

function showTenant(state: State, id: string): Outcome {
  const records = recordsOf(state);
  const tenant = records.get(`tenants/${id}/tenant`);
  const placement = records.get(`tenants/${id}/placement`);
  if (placement === undefined) {
    const { version } = state.holder.state.manifest;
    const message = `version ${version} has no tenant ${id}${hint(id, tenantIds(records))}`;
    throw new CliError('tenant-unknown', message);
  }
  const { scope: scopeId, policy: policyId } = (tenant ?? {}) as Record<string, string>;
  const scope = records.get(`global/scopes/${scopeId}`) ?? null;
  const policy = records.get(`global/policies/${policyId}`) ?? null;
  const retired = tenant === undefined;
  const data = { id, retired, tenant: tenant ?? null, placement, scope, policy };
  return outcome(state, data, [
    `tenant ${id}${retired ? ' (retired)' : ''}`,
    ...linesOf(tenant),
    'placement',
    ...linesOf(placement),
    ...(scope === null ? [] : [`scope ${scopeId}`, ...linesOf(scope)]),
    ...(policy === null ? [] : [`policy ${policyId}`, ...linesOf(policy)]),
  ]);
}

function tenantIds(records: Records): readonly string[] {
  return [...records.keys()].flatMap((key) => /^tenants\/([^/]+)\/placement$/.exec(key)?.[1] ?? []);
}

function showVersion(state: State, version: bigint): Outcome {
  const link = newest(state.holder.chain);
  if (link?.version !== version) {
    const head = state.holder.state.manifest.version;
    throw new CliError('input', `there is no version ${version}; the head is ${head}`);
  }
  const decoded = decodeJws(link.jws, envelopeKind, nodeCrypto);
  if (!('claimed' in decoded)) throw new CliError(decoded.code, decoded.detail);
  const { kind: _, operations, ...envelope } = decoded.claimed;
  const { author, class: derived, reason } = envelope;
  const lines = operations.flatMap((operation) => {
    const { op, key } = operation;
    return op === 'put' ? [`+ ${key}`, ...linesOf(operation.value)] : [`- ${key}`];
  });
  return outcome(state, { ...envelope, digest: link.digest, operations }, [
    `version ${version} by ${author}, class ${derived}: ${printable(reason)}`,
    `envelope ${link.digest}`,
    `manifest ${link.manifestDigest}`,
    `${count(operations.length, 'operation')}:`,
    ...lines,
  ]);
}

function outcome({ holder, notes }: State, data: object, lines: readonly string[]): Outcome {
  const { version, cluster } = holder.state.manifest;
  return {
    exit: EXIT.fine,
    data: { cluster, at: version, ...data },
    text: lines.join('\n'),
    notes: [`as of version ${version}, verified`, ...notes],
  };
}

/** A record is a map one level deep. */
function linesOf(value: unknown): readonly string[] {
  if (value === undefined) return [];
  const wire = toWire(value);
  const plain = wire !== null && typeof wire === 'object' && !Array.isArray(wire);
  const fields = plain ? Object.entries(wire) : [['value', wire] as const];
  return fields.map(([name, is]) => {
    const text = typeof is === 'string' ? is : canonical(is);
    return `    ${name.padEnd(12)} ${printable(text)}`;
  });
}
