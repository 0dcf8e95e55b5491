/**
 * The calls of a load, prepared, and the choice of the next one: by weight among the mix, with the next key.
 */
import { Random } from '@quorate/testing';
import { encodeHeads, type Heads } from './frames.ts';
import type { KeyOrder, Share } from './job.ts';
import { type OperationBytes, toBytes } from './operations.ts';
import { type PreparedCall, prepare } from './prepared.ts';

export interface MixedCall {
  readonly name: string;
  readonly prepared: PreparedCall;
  readonly bytes: OperationBytes;
  readonly nextKey: () => number;
}

export class Mix {
  readonly heads: Heads;
  readonly calls: readonly MixedCall[];
  /** Running sums of the weights, scaled to 1. */
  readonly #upTo: readonly number[];
  readonly #random = new Random('mix');

  constructor(shares: readonly Share[]) {
    const bytes = shares.map(({ operation }) => toBytes(operation));
    const paths = [...new Set(bytes.map(({ path }) => path))];
    this.heads = encodeHeads(paths);
    this.calls = shares.map((share, i) => {
      const own = bytes[i] as OperationBytes;
      const head = this.heads.indexed[paths.indexOf(own.path)] as Buffer;
      const prepared = prepare(head, own.message, own.slots);
      return { name: share.operation.kind, prepared, bytes: own, nextKey: keys(share.keys, i) };
    });
    const total = shares.reduce((sum, { weight }) => sum + weight, 0);
    let sum = 0;
    this.#upTo = shares.map(({ weight }) => {
      sum += weight / total;
      return sum;
    });
  }

  next(): MixedCall {
    if (this.calls.length === 1) return this.calls[0] as MixedCall;
    const draw = this.#random.uint32() / 2 ** 32;
    const at = this.#upTo.findIndex((end) => draw < end);
    return this.calls.at(at) as MixedCall;
  }
}

/** @param stream tells the random keys of one share from those of another */
function keys(order: KeyOrder, stream: number): () => number {
  if (order.order === 'random') {
    const random = new Random('keys', String(stream));
    return () => random.int(order.keys);
  }
  let next = -order.step;
  return () => {
    next = (next + order.step) % order.keys;
    return next;
  };
}
