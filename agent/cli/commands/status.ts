// `status`: agents side by side, so that the one that sees it otherwise stands out.

import { compareVersions } from '../../../shared/control/chain.ts';
import {
  type AgentStatus,
  askAgents,
  type Follower,
  followersOf,
  type Heard,
} from '../agent-status.ts';
import { AGENTS_VARIABLE, type AgentFlags, accessOf, namedAgents } from '../agents.ts';
import { CliError, EXIT, type Outcome } from '../exit.ts';
import { projectAt, readPin } from '../project.ts';
import { type Row, table } from '../words.ts';

export interface StatusFlags extends AgentFlags {
  readonly project: string;
}

/** `portolan status`: what every agent says, side by side. */
export async function status(flags: StatusFlags): Promise<Outcome> {
  const paths = projectAt(flags.project);
  const named = await namedAgents(paths, flags);
  if (named === null) {
    const lines = [`or list them in ${AGENTS_VARIABLE}, or in agents.json of the project`];
    throw new CliError('usage', 'name the agents: --agent URL', { lines });
  }
  const trust = await readPin(paths);
  const access = await accessOf(paths, trust, flags.key ?? null, named.ca);
  const heard = await askAgents(named.urls, access);
  const answered = heard.flatMap((each) => (each.kind === 'answered' ? [each] : []));
  const agents = heard.map(dataOf);
  const text = sections(answered.map((each) => each.status)).join('\n\n');
  const silent = heard.flatMap((each) => (each.kind === 'unreachable' ? [each] : []));
  if (silent.length > 0) {
    throw new CliError('unreachable', `${silent.length} of ${heard.length} agents do not answer`, {
      details: { agents },
      lines: silent.map(({ url, reason }) => `${url}: ${reason}`),
      text,
    });
  }
  return { exit: EXIT.fine, data: { agents }, text };
}

function dataOf(heard: Heard): object {
  const { kind, url } = heard;
  return kind === 'answered'
    ? { url, reached: true, status: heard.raw }
    : { url, reached: false, reason: heard.reason };
}

function sections(agents: readonly AgentStatus[]): readonly string[] {
  if (agents.length === 0) return [];
  const heads = agents.map((agent) => agent.head).sort(compareVersions);
  const head = heads.at(-1)?.version ?? 0n;
  return [
    agentTable(agents),
    verdictTable(agents),
    followerTable(agents, head),
    storeTable(agents),
    alarmText(agents),
  ];
}

function agentTable(agents: readonly AgentStatus[]): string {
  const rows = agents.map(({ agent, site, head, active, sitesHeard, equivocators }): Row => {
    const cells = [
      agent,
      site,
      `${head.version}`,
      active === null ? '-' : `${active.version}`,
      seconds(active?.ageMs ?? null),
      sitesHeard.join(' '),
      equivocators.join(' '),
    ];
    return active === null || equivocators.length > 0 ? { cells, colour: 'red' } : { cells };
  });
  const columns = ['AGENT', 'SITE', 'HEAD', 'ACTIVE', 'AGE', 'SITES HEARD', 'CONTRADICT'];
  return table(columns, rows);
}

/** Regions down, agents across: one glance shows who sees it otherwise. */
function verdictTable(agents: readonly AgentStatus[]): string {
  const regions = [...new Set(agents.flatMap(({ verdicts }) => Object.keys(verdicts)))].sort();
  const rows = regions.map((region): Row => {
    const seen = agents.map(({ verdicts }) => verdicts[region] ?? '-');
    const cells = [region, ...seen];
    return seen.every((verdict) => verdict === 'up') ? { cells } : { cells, colour: 'yellow' };
  });
  return table(['REGION', ...agents.map(({ agent }) => agent)], rows);
}

function followerTable(agents: readonly AgentStatus[], head: bigint): string {
  const rows = agents.flatMap((agent) =>
    followersOf(agent).map((follower): Row => {
      const { name, version, ageMs, floor, trouble } = follower;
      const cells = [
        agent.agent,
        name,
        version === null ? '-' : `${version}`,
        lagOf(follower, head),
        seconds(ageMs),
        floor === null ? '-' : `${floor}`,
        trouble,
      ];
      return trouble === '' ? { cells } : { cells, colour: 'yellow' };
    }),
  );
  return table(['ASKED BY', 'WHO', 'VERSION', 'LAG', 'AGE', 'FLOOR', 'TROUBLE'], rows);
}

/** By what stores signed themselves, not by what an edge says of them. */
function storeTable(agents: readonly AgentStatus[]): string {
  const rows = agents.flatMap(({ agent, stores }) =>
    stores.map(({ store, seq, refused, applied, lag, lagMs, missing }): Row => {
      const behind = lagMs === null ? '-' : seconds(lagMs);
      const version = applied === null ? '-' : `${applied.version}`;
      const numbers = [version, lag === null ? '-' : `${lag}`, behind, `${seq}`, `${missing}`];
      const cells = [agent, store, ...numbers, refused ?? ''];
      return refused === null && missing === 0n ? { cells } : { cells, colour: 'yellow' };
    }),
  );
  if (rows.length === 0) return 'No receipts of stores.';
  const columns = [
    'HEARD BY',
    'STORE',
    'APPLIED',
    'LAG',
    'BEHIND',
    'RECEIPT',
    'MISSING',
    'REFUSED',
  ];
  return table(columns, rows);
}

function lagOf({ version }: Follower, head: bigint): string {
  return version === null ? '-' : `${head - version}`;
}

function alarmText(agents: readonly AgentStatus[]): string {
  const rows = agents.flatMap(({ agent, alarms }) =>
    Object.entries(alarms).map(([code, many]): Row => {
      return { cells: [agent, code, `${many}`], colour: 'yellow' };
    }),
  );
  return rows.length === 0 ? 'No alarms.' : table(['AGENT', 'ALARM', 'COUNT'], rows);
}

function seconds(ms: number | null): string {
  return ms === null ? '-' : `${(ms / 1000).toFixed(1)} s`;
}
