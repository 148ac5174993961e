// Bugs stop the run here; everything expected is a value (see `control/refusal.ts`).

export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** States what the author holds to be impossible otherwise. Never used on input. */
export function assert(condition: boolean, fact: string): asserts condition {
  if (!condition) throw new AssertionError(fact);
}

/** The default of an exhaustive switch: a new member of the union fails to compile here. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`);
}
