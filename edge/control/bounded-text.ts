// Reading a body that somebody else made: never more of it than its bound, whatever length it
// declared.

/** The body as text, or null beyond `most` bytes, where reading stops. */
export async function boundedText(
  body: ReadableStream<Uint8Array> | null,
  most: number,
): Promise<string | null> {
  if (body === null) return '';
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > most) return null;
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
