/**
 * One header field, made once and shared.
 *
 * The static table's fields live as long as the process, the dynamic table's as long as their entry, and a request
 * only points at them: what is learnt about a field (`tag`) is therefore learnt once per entry, not once per request.
 */
export class HeaderField {
  readonly name: string;
  readonly value: string;
  /** RFC 7541 §4.1: "The size of an entry is the sum of its name's length in octets, its value's length in octets, and 32." */
  readonly sizeBytes: number;
  /** What the layer above has found out about the field; 0 until it has looked. */
  tag = 0;

  constructor(name: string, value: string) {
    this.name = name;
    this.value = value;
    this.sizeBytes = name.length + value.length + 32;
  }
}

/** The peer's header block cannot be decoded. The compression state is lost with it, and so is the connection (RFC 7541 §2.2). */
export class HpackError extends Error {
  override readonly name = 'HpackError';
}
