// The local world is a program of the repository's tests and no part of the product: it is found by
// its path at run time, so that nothing here can be built on it.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CliError } from '../exit.ts';

interface World {
  main(args: readonly string[]): Promise<number>;
}

const REPOSITORY = join(import.meta.dirname, '..', '..', '..');

/** `portolan world …`: every argument is the world's own. Resolves to its exit code. */
export async function world(args: readonly string[], repository = REPOSITORY): Promise<number> {
  const path = join(repository, 'test', 'world', 'main.ts');
  if (!existsSync(path)) {
    const lines = ['the local world comes with the repository; clone it to run one'];
    throw new CliError('failure', `${path} is not there`, { lines });
  }
  const { main }: World = await import(pathToFileURL(path).href);
  return main(args);
}
