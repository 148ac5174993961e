// Applying: who may, on what base, and what happens to the one who comes second.

import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { applyPlan } from '../../agent/cli/apply.ts';
import { draftAll, type Plan } from '../../agent/cli/plan.ts';
import { readSigner } from '../../agent/cli/project.ts';
import { readState } from '../../agent/cli/state.ts';
import type { Signer } from '../../shared/crypto.ts';
import { keyNamed } from '../shared/kit.ts';
import {
  commit,
  commitPath,
  type Edit,
  failureOf,
  land,
  narrower,
  newProject,
  planOf,
  slower,
} from './project-kit.ts';

/** The plan with one operation's value changed. */
function tampered(plan: Plan, key: string, change: (value: object) => object): Plan {
  const commits = plan.commits.map((planned) => ({
    ...planned,
    operations: planned.operations.map((operation) => {
      if (operation.op !== 'put' || operation.key !== key) return operation;
      return { ...operation, value: change(operation.value as object) };
    }),
  }));
  return { ...plan, commits };
}

test('the first commit is version 1 and follows nothing', async () => {
  const project = await newProject();
  const landed = await commit(project);
  expect(landed).toMatchObject([{ version: 1n, class: 'normal', operations: 10 }]);
  const { holder, commits } = await readState(project.paths, project.trust);
  expect(holder.state.envelope).toBe(landed[0]?.envelope);
  expect(holder.state.manifestDigest).toBe(landed[0]?.manifest);
  expect(commits).toMatchObject([{ author: 'operator', reason: 'test', previous: null }]);
});

test('a narrowing lands', async () => {
  const project = await newProject();
  await commit(project);
  await commit(project, narrower);
  const { holder } = await readState(project.paths, project.trust);
  expect(holder.state.global.scopes['atlantic']?.regions).toEqual(['us1']);
});

test('a plan without a commit lands nothing', async () => {
  const project = await newProject();
  await commit(project);
  expect(await commit(project)).toEqual([]);
});

describe('somebody else was first', () => {
  test('a plan on another base is refused', async () => {
    const project = await newProject();
    await commit(project);
    const plan = await planOf(project, slower);
    await commit(project, narrower);
    const error = await failureOf(land(project, plan));
    expect([error.code, error.exit]).toEqual(['stale', 4]);
    expect(error.message).toBe('the plan is for version 1, the head is 2');
  });

  test('a plan for the same version of another history is refused', async () => {
    const [one, other] = [await newProject(), await newProject()];
    await commit(one);
    await commit(other, narrower);
    const plan = await planOf(one, slower);
    const error = await failureOf(land(other, plan));
    expect([error.code, error.exit]).toEqual(['stale', 4]);
  });

  test('a version that appears after the head was read is not overwritten', async () => {
    const project = await newProject();
    await commit(project);
    const first = await planOf(project, slower);
    const second = await planOf(project, narrower);
    const operator = await readSigner(project.keys.operator);
    // While this operator signs, the other one's commit lands.
    const slow: Signer = {
      kid: operator.kid,
      sign: async (bytes) => {
        await land(project, first);
        return operator.sign(bytes);
      },
    };
    const error = await failureOf(land(project, second, slow));
    expect([error.code, error.exit]).toEqual(['exists', 4]);
    const { holder } = await readState(project.paths, project.trust);
    expect(holder.state.global.policies['std']?.slowStartS).toBe(30);
    expect(holder.state.manifest.version).toBe(2n);
  });

  test('what landed before is named', async () => {
    const project = await newProject();
    await commit(project);
    const many: Edit = ({ tenants }) => {
      for (let i = 0; i < 60; i++) {
        tenants[`t${i}`] = {
          hosts: [`t${i}.example`],
          scope: 'eu',
          home: 'eu1',
          policy: 'std',
          priority: 1,
        };
      }
    };
    const plan = await planOf(project, many);
    const operator = await readSigner(project.keys.operator);
    let signed = 0;
    const overtaken: Signer = {
      kid: operator.kid,
      sign: async (bytes) => {
        signed += 1;
        if (signed === 2) await commit(project, (config) => [many, slower].map((e) => e(config)));
        return operator.sign(bytes);
      },
    };
    const error = await failureOf(land(project, plan, overtaken));
    expect([error.code, error.exit]).toEqual(['exists', 4]);
    expect(error.details).toMatchObject({ version: 3n, landed: [{ version: 2n }] });
    expect(error.lines[0]).toMatch(/^landed: version 2 /);
    await readState(project.paths, project.trust);
  });

  test('of two at once exactly one lands', async () => {
    const project = await newProject();
    await commit(project);
    const plans = [await planOf(project, slower), await planOf(project, narrower)];
    const outcomes = await Promise.allSettled(plans.map((plan) => land(project, plan)));
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ exit: 4 });
    }
    const files = await readdir(join(project.paths.control, 'commits'));
    expect(files.filter((name) => name.endsWith('.json'))).toHaveLength(2);
    await readState(project.paths, project.trust);
  });
});

describe('a plan that was changed', () => {
  test('in an operation does not pass', async () => {
    const project = await newProject();
    const plan = tampered(await planOf(project), 'global/scopes/eu', (value) => {
      return { ...value, regions: ['eu1', 'us1'] };
    });
    const error = await failureOf(land(project, plan));
    expect([error.code, error.exit]).toEqual(['manifest', 7]);
    expect(await readdir(join(project.paths.control, 'commits'))).toEqual([]);
  });

  test('in its class does not pass', async () => {
    const project = await newProject();
    const plan = await planOf(project);
    const commits = plan.commits.map((each) => ({ ...each, class: 'safety' as const }));
    const error = await failureOf(land(project, { ...plan, commits }));
    expect([error.code, error.exit]).toEqual(['manifest', 7]);
  });

  test('for another cluster does not pass', async () => {
    const project = await newProject();
    const plan = { ...(await planOf(project)), cluster: 'other' };
    const error = await failureOf(land(project, plan));
    expect([error.code, error.exit]).toEqual(['cluster', 7]);
  });

  test('so that it widens a scope does not pass, even with the right manifest', async () => {
    const project = await newProject();
    await commit(project);
    const { holder, pieces, trust } = await readState(project.paths, project.trust);
    const value = { regions: ['eu1', 'us1'], ingress: 'any' };
    const widening = [{ op: 'put' as const, key: 'global/scopes/eu', value }];
    const drafted = draftAll(holder.state, [widening], trust, pieces.nodes);
    if (drafted.kind === 'refused') throw new Error(drafted.detail);
    const plan = { ...(await planOf(project, slower)), commits: drafted.commits };
    const error = await failureOf(land(project, plan));
    expect([error.code, error.exit]).toEqual(['safety', 5]);
  });
});

describe('who signs', () => {
  test('a key that trust does not name may not', async () => {
    const project = await newProject();
    const error = await failureOf(land(project, await planOf(project), keyNamed('stranger')));
    expect([error.code, error.exit]).toEqual(['key-unknown', 7]);
  });

  test('a key of another role may not', async () => {
    const project = await newProject();
    const plan = await planOf(project);
    for (const path of [...project.keys.approvers, project.keys.edge, project.keys.recovery]) {
      const error = await failureOf(land(project, plan, await readSigner(path)));
      expect([error.code, error.exit]).toEqual(['role', 7]);
    }
  });

  test('a reason is asked for, and bounded', async () => {
    const project = await newProject();
    const plan = await planOf(project);
    const signer = await readSigner(project.keys.operator);
    const apply = (reason: string) =>
      applyPlan(project.paths, plan, { signer, reason, opId: randomUUID });
    for (const reason of ['', 'x'.repeat(501)]) {
      const error = await failureOf(apply(reason));
      expect([error.code, error.exit]).toEqual(['usage', 2]);
    }
    expect(await apply('x'.repeat(500))).toHaveLength(1);
  });

  test('each commit has an operation id of its own', async () => {
    const project = await newProject();
    await commit(project);
    await commit(project, slower);
    const { commits } = await readState(project.paths, project.trust);
    expect(new Set(commits.map(({ opId }) => opId)).size).toBe(2);
    expect(await readFile(commitPath(project, 2), 'utf8')).toContain('payload');
  });
});
