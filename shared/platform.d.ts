// What `shared` may assume of every platform it runs in: Node, workerd, a browser. ECMAScript
// itself comes from `lib`; these few Web interfaces are the whole of the rest. A type that is
// missing here is missing on purpose: time, randomness, keys, the network and storage are
// arguments.

declare class TextEncoder {
  encode(text: string): Uint8Array<ArrayBuffer>;
}

declare class TextDecoder {
  constructor(label: 'utf-8', options: { fatal: boolean; ignoreBOM: boolean });
  decode(bytes: Uint8Array): string;
}
