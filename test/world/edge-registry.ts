// Where the edge's instances find one another: a folder of the local runtime's own, which it
// watches. Each location has a name of its own for it, so that its way to the stores alone can be
// cut, while it runs and with whatever it holds in memory.

import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export class EdgeRegistry {
  /** Where stores say where they are. */
  readonly stores: string;
  readonly #folder: string;
  readonly #nowhere: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.stores = join(folder, 'registry');
    this.#nowhere = join(folder, 'registry-empty');
    for (const one of [this.stores, this.#nowhere]) mkdirSync(one, { recursive: true });
  }

  /** The folder in which a location looks. */
  of(location: string): string {
    const path = join(this.#folder, `registry-of-${location}`);
    point(path, this.stores);
    return path;
  }

  /** Its calls of stores fail from now on, or reach them again. */
  cut(location: string, isCut: boolean): void {
    point(join(this.#folder, `registry-of-${location}`), isCut ? this.#nowhere : this.stores);
    // The runtime watches the folder that was there when it began, and then looks by the name.
    const stir = join(this.stores, 'stir');
    writeFileSync(stir, '');
    rmSync(stir);
  }
}

/** At once: nobody looks while there is nothing. */
function point(path: string, target: string): void {
  const made = `${path}.new`;
  rmSync(made, { force: true });
  symlinkSync(target, made);
  renameSync(made, path);
}
