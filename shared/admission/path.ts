// The one form of a path: normalised once, before anything is routed or admitted, because a path
// that the router, the policy and the service read in three ways is three paths.

import { PATH_BYTES_MAX } from '../limits.ts';

/**
 * Percent-escapes of unreserved characters decoded, the others in upper case (RFC 3986 6.2.2). null
 * for what servers read in different ways: broken escapes, characters outside printable ASCII,
 * backslashes and controls, escaped or not, and dot segments that only decoding uncovers. An
 * escaped slash stays escaped: it is part of a segment.
 */
export function normalisePath(pathname: string): string | null {
  if (pathname.length > PATH_BYTES_MAX || !/^\/[!-~]*$/.test(pathname)) return null;
  if (/\\|%(?![0-9A-Fa-f]{2})|%[01]|%5[Cc]|%7[Ff]/.test(pathname)) return null;
  const path = pathname.replace(/%[0-9A-Fa-f]{2}/g, (triplet) => {
    const char = String.fromCharCode(Number.parseInt(triplet.slice(1), 16));
    return /[A-Za-z0-9._~-]/.test(char) ? char : triplet.toUpperCase();
  });
  // Some servers decode the slash after all: nothing may climb then either.
  return /\/\.\.?(?:\/|$)/.test(path.replaceAll('%2F', '/')) ? null : path;
}
