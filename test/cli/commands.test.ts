// The command line as people and scripts meet it: a process with arguments, an exit code, data on
// stdout, messages on stderr.

import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { apply } from '../../agent/cli/commands/apply.ts';
import { plan } from '../../agent/cli/commands/plan.ts';
import { ask } from '../../agent/cli/question.ts';
import { readState } from '../../agent/cli/state.ts';
import { decide } from '../../shared/steering/decide.ts';
import { recordOf } from '../../shared/steering/explain.ts';
import { objectOf, portolan } from './portolan.ts';
import {
  applying,
  commit,
  narrower,
  newFolder,
  newProject,
  slower,
  within,
  writeConfig,
} from './project-kit.ts';

const DIGEST = expect.stringMatching(/^[A-Za-z0-9_-]{43}$/);

describe('from nothing to a decision', () => {
  test('init, validate, plan, apply, history and explain answer in JSON', async () => {
    const folder = join(await newFolder(), 'p');
    const inside = ['--project', folder, '--json'];
    const made = await portolan(['init', folder, '--cluster', 'demo', '--json']);
    expect(made).toMatchObject({ exit: 0, stderr: '' });
    expect(objectOf(made)).toMatchObject({ ok: true, cluster: 'demo', trust: DIGEST });

    const [valid, first, again] = await Promise.all([
      portolan(['validate', ...inside]),
      portolan(['plan', '--detailed-exitcode', ...inside]),
      portolan(['init', folder, '--cluster', 'demo', '--json']),
    ]);
    expect(valid.exit).toBe(0);
    expect(objectOf(valid)).toEqual({
      ok: true,
      cluster: 'demo',
      sites: 3,
      scopes: 2,
      policies: 1,
      tenants: 1,
      pinned: true,
    });
    expect(first.exit).toBe(3);
    expect(objectOf(first)).toMatchObject({
      ok: true,
      differs: true,
      plan: {
        kind: 'plan',
        cluster: 'demo',
        base: { generation: '1', version: '0', envelope: null },
        commits: [{ class: 'normal', manifest: DIGEST }],
        summary: { blastRadius: { tenants: { total: 1, shown: ['acme'] } } },
      },
    });
    expect(again.exit).toBe(4);
    expect(objectOf(again)).toMatchObject({ ok: false, error: { code: 'exists' } });

    const key = join(folder, 'keys', 'operator.jwk');
    const applied = await portolan(['apply', '--key', key, '--reason', 'begin', ...inside]);
    expect(applied).toMatchObject({ exit: 0, stderr: '' });
    expect(objectOf(applied)).toMatchObject({
      ok: true,
      author: 'operator',
      commits: [{ version: '1', class: 'normal', operations: 9, envelope: DIGEST }],
    });

    const [history, explained, same] = await Promise.all([
      portolan(['history', '--limit', '1', ...inside]),
      portolan(['explain', '--tenant', 'acme', '--op', 'write', '--from', 'DE', ...inside]),
      portolan(['plan', '--detailed-exitcode', ...inside]),
    ]);
    expect(objectOf(history)).toMatchObject({
      ok: true,
      head: { version: '1', envelope: DIGEST },
      total: 1,
      verified: true,
      commits: [{ version: '1', author: 'operator', reason: 'begin', operations: 9 }],
    });
    expect(objectOf(explained)).toMatchObject({
      ok: true,
      tenant: 'acme',
      scope: 'eu',
      home: 'eu1',
      version: '1',
      manifest: DIGEST,
      envelope: DIGEST,
      outcome: { kind: 'forward', region: 'eu1' },
      regions: [
        { region: 'eu1', verdict: 'up', chosen: true },
        { region: 'us1', verdict: 'up', chosen: false, reason: 'outside the tenant’s scope' },
      ],
    });
    expect([same.exit, objectOf(same)]).toMatchObject([0, { ok: true, differs: false }]);
  });

  test('and in words: data on stdout, messages on stderr', async () => {
    const project = await newProject();
    await commit(project);
    await writeConfig(project, narrower);
    const [plan, history, explain, keys] = await Promise.all([
      portolan(within(project, 'plan')),
      portolan(within(project, 'history')),
      portolan(within(project, 'explain', '--tenant', 'globex', '--op', 'read', '--from', 'DE')),
      portolan(within(project, 'keys', 'list')),
    ]);
    expect(plan.stdout).toContain('~ global/scopes/atlantic');
    expect(plan.stdout).toContain('Affected: 1 tenant: globex');
    expect(plan.stdout).toContain('scope atlantic loses eu1; ');
    expect(plan.stdout).toContain('1 commit, on version 1:');
    expect(history.stdout).toMatch(
      /^VERSION +AUTHOR +CLASS +OPERATIONS +ENVELOPE +REASON\n1 +operator/,
    );
    expect(history.stderr).toBe('1 commit, every signature and digest verified\n');
    expect(explain.stdout).toMatch(
      /^REGION +VERDICT +DISTANCE +REASON\neu1 .*\nus1 .*\n\nread: served/,
    );
    expect(explain.stderr).toContain('assumed: verdicts: every region up');
    expect(keys.stdout).toMatch(/^ROLE +NAME +SITE +KID\nroot +root-1 +-/);
    for (const { stdout, stderr } of [plan, history, explain, keys]) {
      expect(stdout + stderr).not.toContain('\u001b');
    }
  });
});

describe('two operators', () => {
  test('at once: one plan lands, the other is too late', async () => {
    const project = await newProject();
    await commit(project);
    const plans = [slower, narrower].map((_, i) => join(project.paths.folder, `plan-${i}.json`));
    for (const [i, edit] of [slower, narrower].entries()) {
      await writeConfig(project, edit);
      const { notes } = await plan({ project: project.paths.folder, out: plans[i] ?? '' });
      expect(notes?.[0]).toContain(`apply it with: portolan apply ${plans[i]}`);
    }
    const outcomes = await Promise.all(
      plans.map((plan) => portolan(applying(project, plan, '--json'))),
    );
    expect(outcomes.map(({ exit }) => exit).sort()).toEqual([0, 4]);
    const late = outcomes.find(({ exit }) => exit === 4);
    expect(late && objectOf(late)).toMatchObject({
      ok: false,
      error: { code: expect.stringMatching(/^(stale|exists)$/), landed: [] },
    });
  });

  test('a plan that was edited on the way is refused', async () => {
    const project = await newProject();
    const file = join(project.paths.folder, 'plan.json');
    await plan({ project: project.paths.folder, out: file });
    const text = await readFile(file, 'utf8');
    const edits = [
      text.replace('"acme.example"', '"evil.example"'),
      text.replace('"kind":"plan"', '"kind":"plot"'),
    ];
    const finished = await Promise.all(
      edits.map((stdin) => portolan(applying(project, '-', '--json'), { stdin })),
    );
    expect(finished.map(({ exit }) => exit)).toEqual([7, 2]);
  });
});

describe('secrets', () => {
  test('a key comes by standard input, and what is no key is refused', async () => {
    const project = await newProject();
    const jwk = await readFile(project.keys.operator, 'utf8');
    const args = within(project, 'apply', '--key', '-', '--reason', 'why', '--json');
    const wrong = await portolan(args, { stdin: '{}' });
    expect([wrong.exit, objectOf(wrong)]).toMatchObject([2, { error: { code: 'input' } }]);
    const right = await portolan(args, { stdin: jwk });
    expect([right.exit, objectOf(right)]).toMatchObject([0, { commits: [{ version: '1' }] }]);
    expect(right.stdout).not.toContain(JSON.parse(jwk).d);
  });

  test('a key that others may read is used, with a warning', async () => {
    const project = await newProject();
    await chmod(project.keys.operator, 0o644);
    const flags = { project: project.paths.folder, key: project.keys.operator, reason: 'why' };
    const { exit, text, data, notes } = await apply(undefined, flags);
    expect([exit, text]).toEqual([0, expect.stringMatching(/^version 1: /)]);
    const warning = expect.stringContaining('others may read this key');
    expect(notes).toEqual([expect.stringContaining('In force within seconds'), warning]);
    expect(data).toMatchObject({ warnings: [warning], commits: [{ inForceS: 300 }] });
  });

  test('a new key is written for its owner alone, and never over another', async () => {
    const out = join(await newFolder(), 'k.jwk');
    const made = await portolan(['keys', 'new', '--out', out, '--json']);
    const jwk = JSON.parse(await readFile(out, 'utf8'));
    expect(objectOf(made)).toEqual({ ok: true, out, x: jwk.x, kid: DIGEST });
    const again = await portolan(['keys', 'new', '--out', out]);
    expect(again).toMatchObject({ exit: 4, stdout: '' });
    expect(JSON.parse(await readFile(out, 'utf8'))).toEqual(jwk);
  });
});

describe('a logged decision', () => {
  test('is decided again: 0 the same, 7 another, with the first difference', async () => {
    const project = await newProject();
    await commit(project);
    const state = await readState(project.paths, project.trust);
    const asked = ask(state, { tenant: 'acme', op: 'read', from: 'DE', down: [] });
    const record = recordOf('d1', asked.facts, asked.scene, decide(asked.facts, asked.scene));
    await commit(project, narrower);
    const text = JSON.stringify(record);
    const file = join(project.paths.folder, 'record.json');
    await writeFile(file, text);
    const [same, different] = await Promise.all([
      portolan(within(project, 'explain', '--record', file, '--json')),
      portolan(within(project, 'explain', '--record', '-'), {
        stdin: text.replace('"region":"eu1"', '"region":"us1"'),
      }),
    ]);
    expect([same.exit, objectOf(same)]).toMatchObject([
      0,
      { ok: true, same: true, id: 'd1', version: '1', outcome: { region: 'eu1' } },
    ]);
    expect(different.exit).toBe(7);
    expect(different.stderr).toContain('comes out different at decision.');
    expect(different.stderr).toMatch(/recorded: {3}"us1"\nrecomputed: "eu1"/);
  });
});
