// Plans of more than one commit: full ones, each legal by itself, and nothing torn apart.

import { describe, expect, test } from 'vitest';
import { ENVELOPE_ROOM_BYTES } from '../../agent/cli/limits.ts';
import { planText } from '../../agent/cli/plan-text.ts';
import { canonical, utf8Length } from '../../shared/canonical.ts';
import { COMMIT_BYTES_MAX, OPERATIONS_PER_COMMIT_MAX } from '../../shared/limits.ts';
import {
  addTenants,
  commit,
  type Edit,
  land,
  newProject,
  operationsIn,
  planned,
  planOf,
} from './project-kit.ts';

describe('more than one commit', () => {
  test('250 new tenants come in the fewest commits, each tenant with its placement', async () => {
    const project = await newProject();
    const plan = await planOf(project, addTenants(250));
    const sizes = plan.commits.map(({ operations }) => operations.length);
    expect(sizes).toEqual([100, 100, 100, 100, 100, 10]);
    for (const { operations } of plan.commits) {
      const keys = new Set(operations.map(({ key }) => key));
      for (const key of keys) {
        if (key.endsWith('/tenant')) expect(keys).toContain(key.replace(/tenant$/, 'placement'));
      }
    }
    const landed = await land(project, plan);
    expect(landed.map(({ version }) => version)).toEqual([1n, 2n, 3n, 4n, 5n, 6n]);
    expect(await planned(project, addTenants(250))).toMatchObject({ plan: { commits: [] } });
    expect(planText(plan)).toContain('6 commits, the first commit:');
  });

  test('a commit has at most so many operations, and takes the last one that fits', async () => {
    const project = await newProject();
    await commit(project);
    const sizesWith = async (many: number) => {
      const { commits } = await planOf(project, addTenants(many));
      return commits.map(({ operations }) => operations.length);
    };
    expect(await sizesWith(OPERATIONS_PER_COMMIT_MAX / 2)).toEqual([100]);
    expect(await sizesWith(OPERATIONS_PER_COMMIT_MAX / 2 + 1)).toEqual([100, 2]);
  });

  test('large records make smaller commits, and each fits', async () => {
    const project = await newProject();
    const plan = await planOf(project, addTenants(50, 100));
    expect(plan.commits.length).toBeGreaterThan(1);
    for (const { operations } of plan.commits) {
      const bytes = utf8Length(canonical(operations));
      expect(bytes).toBeLessThanOrEqual(COMMIT_BYTES_MAX - ENVELOPE_ROOM_BYTES);
    }
    expect(await land(project, plan)).toHaveLength(plan.commits.length);
  });

  test('tenants between which hosts move change in one commit', async () => {
    const project = await newProject();
    await commit(project, addTenants(120));
    const swap: Edit = (config) => {
      addTenants(120)(config);
      for (let i = 0; i < 120; i++) {
        const tenant = config.tenants[`t${String(i).padStart(4, '0')}`];
        const next = `t${String(i ^ 1).padStart(4, '0')}.example`;
        if (tenant !== undefined) tenant.hosts = [next];
      }
    };
    const plan = await planOf(project, swap);
    expect(plan.commits.map(({ operations }) => operations.length)).toEqual([100, 20]);
    await land(project, plan);
    const retire: Edit = (config) => {
      delete config.tenants['acme'];
      config.tenants['globex']?.hosts.push('acme.example');
      swap(config);
    };
    expect(operationsIn(await planOf(project, retire, true)).toSorted()).toEqual([
      'delete tenants/acme/tenant',
      'put tenants/globex/tenant',
    ]);
  });

  test('what belongs together and fits no commit is refused', async () => {
    const project = await newProject();
    await commit(project, addTenants(120));
    const rotate: Edit = (config) => {
      addTenants(120)(config);
      for (let i = 0; i < 120; i++) {
        const tenant = config.tenants[`t${String(i).padStart(4, '0')}`];
        const next = `t${String((i + 1) % 120).padStart(4, '0')}.example`;
        if (tenant !== undefined) tenant.hosts = [next];
      }
    };
    await expect(planned(project, rotate)).rejects.toMatchObject({ code: 'too-large', exit: 2 });
  });
});
