// "Did you mean": the name that a misspelt one is closest to. Two slips at most, and fewer in a
// short name, because a wrong guess is worse than none.

/** The best of `names`, or null when none is near. */
export function nearest(word: string, names: Iterable<string>): string | null {
  let best: string | null = null;
  let least = Math.min(2, Math.floor(word.length / 2)) + 1;
  for (const name of names) {
    if (Math.abs(name.length - word.length) >= least) continue;
    const slips = distance(word.toLowerCase(), name.toLowerCase());
    if (slips < least) {
      best = name;
      least = slips;
    }
  }
  return best;
}

/** `; did you mean "x"?`, or nothing. */
export function hint(word: string, names: Iterable<string>): string {
  const best = nearest(word, names);
  return best === null ? '' : `; did you mean "${best}"?`;
}

/** Letters put in, left out, changed, or two neighbours swapped. */
function distance(a: string, b: string): number {
  let older: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(
        Math.min(
          (above[j] ?? 0) + 1,
          (row[j - 1] ?? 0) + 1,
          (above[j - 1] ?? 0) + same,
          swapped ? (older[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
    older = above;
    above = row;
  }
  return above[b.length] ?? 0;
}
