// The table of everything that the agents' listener answers. A new group is one file and one line.

import { commitRoutes } from './commits.ts';
import { deltaRoutes } from './deltas.ts';
import { explainRoutes } from './explain.ts';
import { withDocument } from './openapi.ts';
import { readRoutes } from './reads.ts';
import type { Route } from './route.ts';
import { tenantRoutes } from './tenants.ts';
import { trustRoutes } from './trust.ts';

export const routes: readonly Route[] = withDocument([
  ...deltaRoutes,
  ...commitRoutes,
  ...trustRoutes,
  ...tenantRoutes,
  ...readRoutes,
  ...explainRoutes,
]);
