// What vitest.config.ts binds to the Worker around these tests.

import type { EdgeEnv } from '../../edge/env.ts';

declare global {
  namespace Cloudflare {
    interface Env extends EdgeEnv {}
    interface GlobalProps {
      mainModule: typeof import('./main.ts');
    }
  }
}
