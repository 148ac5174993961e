// Arithmetic of edwards25519 (RFC 8032 5.1) in plain bigints: slow, and independent of every
// library, so that tests can say which keys have small order instead of believing a list.

export const P = 2n ** 255n - 19n;
const D = mod(-121_665n * inverse(121_666n));
const SQRT_OF_MINUS_ONE = power(2n, (P - 1n) / 4n);

export interface Point {
  readonly x: bigint;
  readonly y: bigint;
}

export const IDENTITY: Point = { x: 0n, y: 1n };

export function add(a: Point, b: Point): Point {
  const product = D * a.x * b.x * a.y * b.y;
  return {
    x: mod((a.x * b.y + a.y * b.x) * inverse(1n + product)),
    y: mod((a.y * b.y + a.x * b.x) * inverse(1n - product)),
  };
}

/** The point of a key, lenient as verifiers are: y may be p or more. Null when there is none. */
export function pointOf(key: Uint8Array): Point | null {
  const bits = BigInt(`0x${Uint8Array.from(key).reverse().toHex()}`);
  const y = mod(bits & (2n ** 255n - 1n));
  const x = squareRoot(mod((y * y - 1n) * inverse(D * y * y + 1n)));
  if (x === null) return null;
  return { x: (x & 1n) === bits >> 255n ? x : mod(-x), y };
}

/** 32 bytes of `y` (less than 2^255) with the given sign bit. */
export function keyOf(y: bigint, sign: 0 | 1): Uint8Array {
  const bits = y | (BigInt(sign) << 255n);
  return Uint8Array.fromHex(bits.toString(16).padStart(64, '0')).reverse();
}

/** Whether eight times the point is the identity: the order is 1, 2, 4 or 8. */
export function hasSmallOrder(point: Point): boolean {
  const twice = add(point, point);
  const four = add(twice, twice);
  const eight = add(four, four);
  return eight.x === IDENTITY.x && eight.y === IDENTITY.y;
}

/** y of the points of small order: 1, -1, 0, and d y^4 + 2 y^2 = 1 for those of order 8. */
export function smallOrderYs(): readonly bigint[] {
  const root = squareRoot(mod(1n + D)) ?? 0n;
  const squares = [root, -root].map((r) => mod((r - 1n) * inverse(D)));
  const ys = squares.flatMap((square) => {
    const y = squareRoot(square);
    return y === null ? [] : [y, mod(-y)];
  });
  return [0n, 1n, P - 1n, ...ys];
}

function squareRoot(square: bigint): bigint | null {
  const root = power(square, (P + 3n) / 8n);
  if (mod(root * root) === square) return root;
  const other = mod(root * SQRT_OF_MINUS_ONE);
  return mod(other * other) === square ? other : null;
}

function inverse(value: bigint): bigint {
  return power(mod(value), P - 2n);
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let square = base, left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = (result * square) % P;
    square = (square * square) % P;
  }
  return result;
}

function mod(value: bigint): bigint {
  return ((value % P) + P) % P;
}
