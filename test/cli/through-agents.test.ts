// The command line through agents: what it reads there it verifies, what it commits lands once, and
// no single agent decides what it takes for the head.

import { cp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ControlDirectory } from '../../agent/adapters/directory.ts';
import { AgentsControl } from '../../agent/cli/agents-control.ts';
import { applyPlan } from '../../agent/cli/apply.ts';
import { apply } from '../../agent/cli/commands/apply.ts';
import { history } from '../../agent/cli/commands/history.ts';
import { plan } from '../../agent/cli/commands/plan.ts';
import type { Project } from '../../agent/cli/init.ts';
import { projectAt, readSigner } from '../../agent/cli/project.ts';
import { readState } from '../../agent/cli/state.ts';
import { SourceError } from '../../agent/ports.ts';
import { LOOPBACK, makeAuthority } from '../world/certificates.ts';
import { until } from '../world/wait.ts';
import { agentsUp, agentUp } from './agent-kit.ts';
import { objectOf, portolan } from './portolan.ts';
import {
  addTenants,
  commit,
  failureOf,
  narrower,
  newFolder,
  newProject,
  planOf,
  slower,
  within,
  writeConfig,
} from './project-kit.ts';

async function controlAt(project: Project, ...urls: readonly string[]): Promise<AgentsControl> {
  const signer = await readSigner(project.keys.operator);
  return new AgentsControl(urls, { cluster: 'demo', signer, ca: null });
}

/** The project after its first commit. */
async function begun(): Promise<Project> {
  const project = await newProject();
  await commit(project);
  return project;
}

/** Applies what an edit changes, through these agents. */
async function applyThrough(project: Project, ...agent: readonly string[]) {
  const { paths, keys } = project;
  return apply(undefined, { project: paths.folder, key: keys.operator, reason: 'why', agent });
}

async function headOf({ paths, trust }: Project): Promise<bigint> {
  return (await readState(paths, trust)).holder.state.manifest.version;
}

describe('a project whose folder lists agents', () => {
  test('needs no directory of its own to plan, apply and tell its history', async () => {
    const theirs = await begun();
    const agents = await agentsUp(theirs, 'eu1', 'us1', 'w1');
    // What an operator has on a laptop: everything but the commits.
    const folder = await newFolder();
    await cp(theirs.paths.folder, folder, { recursive: true });
    await rm(join(folder, 'control'), { recursive: true });
    const project = { ...theirs, paths: projectAt(folder) };
    const list = { agents: agents.map(({ url }) => url) };
    await writeFile(join(folder, 'agents.json'), JSON.stringify(list));
    await writeConfig(project, slower);
    const key = ['--key', project.keys.operator];
    const args = within(project, 'apply', ...key, '--reason', 'slower', '--json');
    const applied = await portolan(args);
    expect([applied.exit, objectOf(applied)]).toMatchObject([
      0,
      { ok: true, commits: [{ version: '2' }] },
    ]);
    await until('version 2 is active', () => agents[0]?.agent.standing?.link.version === 2n, {
      deadlineMs: 10_000,
    });
    const told = await portolan(within(project, 'history', '--json'));
    expect(objectOf(told)).toMatchObject({
      head: { version: '2' },
      commits: [
        { version: '2', reason: 'slower', state: 'active', attestedBy: ['eu1', 'us1', 'w1'] },
        { version: '1', state: 'active' },
      ],
    });
    const words = await history({ project: folder });
    expect(words.text).toMatch(/^VERSION +AUTHOR +CLASS +OPERATIONS +STATE +ATTESTED BY/);
  });

  test('a list that is none is said', async () => {
    const project = await begun();
    const folder = project.paths.folder;
    for (const [text, code] of [
      ['{"agents":[]}', 'input'],
      ['[]', 'input'],
      ['{"agents":["eu1"]}', 'usage'],
    ] as const) {
      await writeFile(join(folder, 'agents.json'), text);
      expect(await failureOf(history({ project: folder }))).toMatchObject({ code, exit: 2 });
    }
  });
});

test('PORTOLAN_AGENTS names them too, and --agent goes before it', async () => {
  const project = await begun();
  const { url } = await agentUp(project, 'eu1');
  const env = { PORTOLAN_AGENTS: 'http://127.0.0.1:1' };
  const named = await portolan(within(project, 'history', '--json'), {
    env: { PORTOLAN_AGENTS: `${url},http://127.0.0.1:1` },
  });
  expect([named.exit, objectOf(named)]).toMatchObject([0, { total: 1 }]);
  const silent = await portolan(within(project, 'history', '--json'), { env });
  expect([silent.exit, objectOf(silent)]).toMatchObject([6, { error: { code: 'unreachable' } }]);
  const flag = await portolan(within(project, 'history', '--agent', url, '--json'), { env });
  expect(flag.exit).toBe(0);
});

test('over TLS, with the authority that --ca names and no other', async () => {
  const project = await begun();
  const authority = await makeAuthority();
  const tls = await authority.issue(LOOPBACK);
  const { url } = await agentUp(project, 'eu1', { tls });
  const ca = join(project.paths.folder, 'ca.pem');
  await writeFile(ca, authority.caPem);
  const flags = { project: project.paths.folder, agent: [url] };
  expect(await history({ ...flags, ca })).toMatchObject({ exit: 0, data: { total: 1 } });
  expect(await failureOf(history(flags))).toMatchObject({ code: 'unreachable', exit: 6 });
});

test('a key that may not read is told so', async () => {
  const project = await begun();
  const { url } = await agentUp(project, 'eu1');
  const [key = ''] = project.keys.approvers;
  const error = await failureOf(history({ project: project.paths.folder, agent: [url], key }));
  expect(error).toMatchObject({ code: 'unreachable', exit: 6 });
  expect(error.lines.join()).toContain('answered 401');
});

describe('reading', () => {
  test('the longest verified history counts, whoever shows a shorter one', async () => {
    const project = await begun();
    // An agent that stands still shows what was there then.
    const source = new ControlDirectory(project.paths.control);
    const frozen = { commits: (await source.read(1n)).commits };
    const old = await agentUp(project, 'w1', {
      ports: {
        commits: async (from) => ({
          head: { generation: 1n, version: 1n, envelope: null },
          commits: from === 1n ? frozen.commits : [],
          next: null,
        }),
      },
    });
    const live = await agentUp(project, 'eu1');
    await commit(project, slower);
    await commit(project, narrower);
    for (const urls of [
      [old.url, live.url],
      [live.url, old.url],
    ]) {
      const state = await readState(
        project.paths,
        project.trust,
        null,
        await controlAt(project, ...urls),
      );
      expect(state.holder.state.manifest.version).toBe(3n);
    }
  });

  test('one that lies is left out, and that is said', async () => {
    const project = await begun();
    const [first] = (await new ControlDirectory(project.paths.control).read(1n)).commits;
    const lies: readonly unknown[][] = [
      [{ payload: 'AAAA', signatures: [] }],
      [null],
      [first, first],
      [first, { ...(first as object), payload: 'e30' }],
    ];
    for (const commits of lies) {
      const liar = await agentUp(project, 'w1', {
        ports: {
          commits: async (from) => ({
            head: { generation: 1n, version: 9n, envelope: null },
            commits: commits.slice(Number(from - 1n)),
            next: null,
          }),
        },
      });
      const live = await agentUp(project, 'eu1');
      const control = await controlAt(project, liar.url, live.url);
      const state = await readState(project.paths, project.trust, null, control);
      expect(state.holder.state.manifest.version).toBe(1n);
      expect(state.notes.join()).toContain(`${liar.url} was left out`);
      const alone = await controlAt(project, liar.url);
      const error = await failureOf(readState(project.paths, project.trust, null, alone));
      expect(error.exit).toBe(7);
    }
  });

  test('two histories that operators signed stop the command', async () => {
    const project = await begun();
    const live = await agentUp(project, 'eu1');
    const rival = await rivalOf(project);
    await commit(project, slower);
    await live.agent.turn();
    const other = await agentUp(project, 'w1', {
      ports: {
        commits: async (from) => ({
          head: { generation: 1n, version: 2n, envelope: null },
          commits: rival.slice(Number(from - 1n)),
          next: null,
        }),
      },
    });
    const control = await controlAt(project, live.url, other.url);
    const error = await failureOf(readState(project.paths, project.trust, null, control));
    expect([error.code, error.exit]).toEqual(['equivocation', 7]);
  });

  test('one that is down is left out, and that is said', async () => {
    const project = await begun();
    const { url } = await agentUp(project, 'eu1');
    const { notes } = await history({
      project: project.paths.folder,
      agent: ['http://127.0.0.1:1', url],
    });
    expect(notes?.join()).toContain('http://127.0.0.1:1 was left out: ECONNREFUSED');
  });

  test('more commits than one page are all read', async () => {
    const project = await begun();
    for (const edit of [slower, narrower]) await commit(project, edit);
    const { commits } = await new ControlDirectory(project.paths.control).read(1n);
    const asked: bigint[] = [];
    const { url } = await agentUp(project, 'eu1', {
      ports: {
        commits: async (from) => {
          asked.push(from);
          const page = commits.slice(Number(from - 1n), Number(from));
          const next = from < 3n ? from + 1n : null;
          return { head: { generation: 1n, version: 3n, envelope: null }, commits: page, next };
        },
      },
    });
    const control = await controlAt(project, url);
    const state = await readState(project.paths, project.trust, null, control);
    expect(state.commits.map(({ version }) => version)).toEqual([1n, 2n, 3n]);
    expect(asked).toEqual([1n, 2n, 3n, 4n]);
  });
});

/** Commits of a history that parts after version 1. */
async function rivalOf(project: Project): Promise<readonly unknown[]> {
  const other = await newProject();
  const source = new ControlDirectory(project.paths.control);
  const target = new ControlDirectory(other.paths.control);
  const [first] = (await source.read(1n)).commits;
  await target.append(1n, first as never);
  await commit(other, narrower);
  return (await target.read(1n)).commits;
}

describe('applying', () => {
  test('several commits in a row land one after the other', async () => {
    const project = await begun();
    const { url } = await agentUp(project, 'eu1');
    await writeConfig(project, addTenants(120));
    const { data } = await applyThrough(project, url);
    expect(data).toMatchObject({ commits: [{ version: 2n }, { version: 3n }, { version: 4n }] });
    expect(await headOf(project)).toBe(4n);
  });

  test('the next agent is asked when one is down, cannot write, or says nothing', async () => {
    const project = await begun();
    const unable = await agentUp(project, 'w1', {
      ports: { propose: async () => ({ kind: 'unavailable', detail: 'no leader' }) },
    });
    const broken = await agentUp(project, 'us1', {
      ports: { propose: () => Promise.reject(new Error('a bug')) },
    });
    const { url } = await agentUp(project, 'eu1');
    await writeConfig(project, slower);
    const urls = ['http://127.0.0.1:1', unable.url, broken.url, url];
    const { exit } = await applyThrough(project, ...urls);
    expect([exit, await headOf(project)]).toEqual([0, 2n]);
  });

  test('whoever is second is told what landed, and to plan again: exit 4', async () => {
    const project = await begun();
    const { url } = await agentUp(project, 'eu1');
    const file = join(project.paths.folder, 'plan.json');
    await writeConfig(project, slower);
    await plan({ project: project.paths.folder, out: file, agent: [url] });
    await commit(project, narrower);
    const late = await portolan(
      within(
        project,
        ...['apply', file, '--key', project.keys.operator, '--reason', 'why', '--agent', url],
      ),
    );
    expect(late.exit).toBe(4);
    expect(late.stderr).toContain('version 2 by operator: test (global/scopes/atlantic');
    expect(late.stderr).toContain('make a new plan');
  });

  test('so is whoever is overtaken between reading and writing', async () => {
    const project = await begun();
    const { url } = await agentUp(project, 'eu1');
    const plan = await planOf(project, slower);
    const operator = await readSigner(project.keys.operator);
    const overtaken = {
      kid: operator.kid,
      sign: async (bytes: Uint8Array) => {
        const signature = await operator.sign(bytes);
        if ((await headOf(project)) === 1n) await commit(project, narrower);
        return signature;
      },
    };
    const signing = { signer: overtaken, reason: 'why', opId: () => 'op-12345678' };
    const control = await controlAt(project, url);
    const error = await failureOf(applyPlan(project.paths, plan, signing, control));
    expect([error.code, error.exit]).toEqual(['exists', 4]);
    expect(error.details).toMatchObject({
      version: 2n,
      between: [{ version: 2n, author: 'operator', keys: expect.any(Array) }],
    });
  });

  test('agents that cannot write are exit 6, with the reason', async () => {
    const project = await begun();
    const { url } = await agentUp(project, 'eu1', {
      ports: { propose: async () => ({ kind: 'unavailable', detail: 'no leader' }) },
    });
    await writeConfig(project, slower);
    const error = await failureOf(applyThrough(project, url));
    expect([error.code, error.exit]).toEqual(['source-unreadable', 6]);
    expect(error.message).toContain('no leader');
    expect(error.lines.join()).toContain('history');
  });

  test('what landed although nobody said so is read back', async () => {
    const project = await begun();
    const directory = new ControlDirectory(project.paths.control);
    const { url } = await agentUp(project, 'eu1', {
      ports: {
        propose: async (jws) => {
          await directory.append(2n, jws as never);
          throw new SourceError('the answer was lost');
        },
      },
    });
    await writeConfig(project, slower);
    expect(await applyThrough(project, url)).toMatchObject({
      exit: 0,
      data: { commits: [{ version: 2n }] },
    });
  });

  test('what was sent and is in doubt is called so', async () => {
    const project = await begun();
    const agent = await agentUp(project, 'eu1', {
      ports: {
        propose: async () => {
          agent.close();
          return { kind: 'unavailable', detail: 'gone' };
        },
      },
    });
    await writeConfig(project, slower);
    const error = await failureOf(applyThrough(project, agent.url));
    expect([error.code, error.exit]).toEqual(['unreachable', 6]);
    expect(error.message).toContain('version 2 may be written or not');
    expect(error.details).toMatchObject({ ambiguous: true });
  });

  test('a refusal comes with its code and its exit', async () => {
    const project = await begun();
    const { url } = await agentUp(project, 'eu1', {
      ports: {
        propose: async () => ({ kind: 'refused', code: 'host-taken', detail: 'acme.example' }),
      },
    });
    await writeConfig(project, slower);
    const error = await failureOf(applyThrough(project, url));
    expect([error.code, error.exit]).toEqual(['host-taken', 5]);
  });
});
