// show and diff: one record, one tenant, one commit, and what lies between two versions.

import { describe, expect, test } from 'vitest';
import { diff } from '../../agent/cli/commands/diff.ts';
import { plan } from '../../agent/cli/commands/plan.ts';
import { show } from '../../agent/cli/commands/show.ts';
import type { Project } from '../../agent/cli/init.ts';
import { PLAN_TENANTS_SHOWN_MAX } from '../../agent/cli/limits.ts';
import { agentUp } from './agent-kit.ts';
import { objectOf, portolan } from './portolan.ts';
import {
  addTenants,
  commit,
  failureOf,
  land,
  narrower,
  newProject,
  planOf,
  slower,
  within,
  writeConfig,
} from './project-kit.ts';

/** Versions: 1 the base, 2 narrower, 3 slower and globex retired. */
async function three(): Promise<Project> {
  const project = await newProject();
  await commit(project);
  await commit(project, narrower);
  const last = (config: Parameters<typeof slower>[0]) => {
    narrower(config);
    slower(config);
    delete config.tenants['globex'];
  };
  await land(project, await planOf(project, last, true));
  return project;
}

const project = three;

describe('show', () => {
  test('a record by its key, as of the head', async () => {
    const flags = { project: (await project()).paths.folder };
    const { data, text, notes } = await show('global/scopes/atlantic', undefined, flags);
    expect(data).toMatchObject({ at: 3n, value: { regions: ['us1'] } });
    expect(text).toMatch(/^global\/scopes\/atlantic\n +regions +\["us1"\]/m);
    expect(notes).toEqual(['as of version 3, verified']);
  });

  test('a tenant with its placement, its scope and its policy; a retired one too', async () => {
    const flags = { project: (await project()).paths.folder };
    const acme = await show('tenant', 'acme', flags);
    expect(acme.data).toMatchObject({
      id: 'acme',
      retired: false,
      tenant: { hosts: ['*.acme.example', 'acme.example'], scope: 'eu' },
      placement: { home: 'eu1', epoch: '1', state: 'ACTIVE' },
      scope: { regions: ['eu1'] },
      policy: { slowStartS: 30 },
    });
    const globex = await show('tenant', 'globex', flags);
    expect(globex.data).toMatchObject({ retired: true, tenant: null, placement: { home: 'us1' } });
    expect(globex.text).toContain('tenant globex (retired)');
  });

  test('a commit with its operations', async () => {
    const flags = { project: (await project()).paths.folder };
    const { data, text } = await show('version', '2', flags);
    expect(data).toMatchObject({
      version: 2n,
      author: 'operator',
      operations: [{ op: 'put', key: 'global/scopes/atlantic' }],
    });
    expect(text).toContain('version 2 by operator, class normal: test');
    expect(text).toContain('+ global/scopes/atlantic');
  });

  test('guesses what was meant', async () => {
    const { paths } = await project();
    const flags = { project: paths.folder };
    const wrong = [
      await failureOf(show('global/scopes/atlantik', undefined, flags)),
      await failureOf(show('tenant', 'acmee', flags)),
      await failureOf(show('tenat', 'acme', flags)),
      await failureOf(show('version', '9', flags)),
      await failureOf(show('version', undefined, flags)),
    ];
    expect(wrong.map(({ exit, message }) => [exit, message])).toEqual([
      [2, 'version 3 has no global/scopes/atlantik; did you mean "global/scopes/atlantic"?'],
      [2, 'version 3 has no tenant acmee; did you mean "acme"?'],
      [2, expect.stringContaining('did you mean "tenant"?')],
      [2, 'there is no version 9; the head is 3'],
      [2, expect.stringContaining('version which?')],
    ]);
  });

  test('through an agent as from the directory', async () => {
    const own = await project();
    const { url } = await agentUp(own, 'eu1');
    const args = within(own, 'show', 'tenant', 'acme', '--json');
    const [here, there] = await Promise.all([portolan(args), portolan([...args, '--agent', url])]);
    expect([here.exit, there.exit]).toEqual([0, 0]);
    expect(objectOf(there)).toEqual(objectOf(here));
  });
});

describe('diff', () => {
  test('tells what changed in the words of plan', async () => {
    const flags = { project: (await project()).paths.folder };
    const between = await diff('1', '2', flags);
    expect(between.data).toMatchObject({
      from: 1n,
      to: 2n,
      changes: [{ kind: 'update', key: 'global/scopes/atlantic' }],
    });
    expect(between.text).toMatch(/^~ global\/scopes\/atlantic\n/);
    expect(between.text).toContain('["eu1","us1"] -> ["us1"]');
    const all = await diff('0', undefined, flags);
    expect(all.data).toMatchObject({ from: 0n, to: 3n });
    expect((await diff('3', undefined, flags)).text).toBe('Nothing differs.');
    const retired = await diff('2', '3', flags);
    expect(retired.text).toContain('- tenants/globex/tenant');
    expect(retired.text).not.toContain('placement');
  });

  test('backwards it says what would be undone', async () => {
    const flags = { project: (await project()).paths.folder };
    expect((await diff('3', '2', flags)).text).toContain('+ tenants/globex/tenant');
  });

  test('there is nothing beyond the head', async () => {
    const flags = { project: (await project()).paths.folder };
    const error = await failureOf(diff('1', '4', flags));
    expect(error).toMatchObject({ exit: 2, message: 'there is no version 4; the head is 3' });
  });
});

describe('a plan for people', () => {
  /** Lines of the plan that name a tenant's record. */
  function listed(text: string): number {
    return text.match(/^\+ tenants\/t\d+\/tenant$/gm)?.length ?? 0;
  }

  async function planFor(many: number, full = false): Promise<string> {
    const own = await newProject();
    await commit(own);
    await writeConfig(own, addTenants(many));
    const flags = { project: own.paths.folder, full };
    return (await plan(flags)).text;
  }

  test('lists as many tenants as its bound, and counts beyond', async () => {
    const within = await planFor(PLAN_TENANTS_SHOWN_MAX);
    expect(listed(within)).toBe(PLAN_TENANTS_SHOWN_MAX);
    expect(within).not.toContain('--full');
    const beyond = await planFor(PLAN_TENANTS_SHOWN_MAX + 1);
    expect(listed(beyond)).toBe(PLAN_TENANTS_SHOWN_MAX);
    expect(beyond).toContain('and 1 more tenants (--full lists all)');
    expect(beyond).toContain('Tenants: 51: 51 created');
    expect(beyond).toContain('by scope: eu 51');
    expect(beyond).toContain('by home: eu1 51');
  });

  test('--full lists all', async () => {
    const text = await planFor(PLAN_TENANTS_SHOWN_MAX + 1, true);
    expect(listed(text)).toBe(PLAN_TENANTS_SHOWN_MAX + 1);
    expect(text).not.toContain('--full');
  });
});
