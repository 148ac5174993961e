// The entry of the command line, run by `./portolan`. It only makes the next start quicker: what
// Node compiles is kept beside the packages, which halves the time until the first word. The folder
// belongs to whoever owns the code; the one Node would choose lies in /tmp, where others could put
// code.

import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

enableCompileCache(join(import.meta.dirname, '..', '..', 'node_modules', '.cache', 'compiled'));
const { runCommandLine } = await import('./run.ts');
await runCommandLine();
