// A check of the style test is a pure function from files to findings: what it says about this
// repository and what it says about a deliberate fault come from the same code.

export interface Source {
  /** From the top of the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

export interface Finding {
  readonly path: string;
  readonly line: number;
  /** What is wrong and what to write instead. */
  readonly says: string;
}

/** Judges one file on its own. */
export type FileCheck = (path: string, text: string) => readonly Finding[];

/** Judges all files together. */
export type TreeCheck = (files: readonly Source[]) => readonly Finding[];

export function everyFile(check: FileCheck): TreeCheck {
  return (files) => files.flatMap(({ path, text }) => check(path, text));
}

export function show(findings: readonly Finding[]): string {
  return findings.map(({ path, line, says }) => `${path}:${line} ${says}`).join('\n');
}
