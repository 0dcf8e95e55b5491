/** txn: a transaction from standard input. */
import { type Compare, type Init, type RequestOp, services } from '@quorate/proto';
import type { Run } from '../command.ts';
import { badArgs, CommandError, ExitCode } from '../exit.ts';
import { trimSpace } from '../go-values.ts';
import { txnReport } from '../output/kv.ts';
import { readLines } from '../stdin.ts';
import { parseCompare, parseOperation } from './txn-grammar.ts';

export const txn: Run = async (context, { args, flags }) => {
  if (args.length !== 0) throw badArgs('txn command does not accept argument');
  const client = await context.client();
  const ask = (text: string): void => {
    if (flags.bool('interactive')) context.io.stdout(text);
  };
  const lines = readLines(context.io.stdin);
  /** Lines up to the empty one that ends the block. */
  const block = async <T>(parse: (line: string) => T | Promise<T>): Promise<T[]> => {
    const items: T[] = [];
    for (;;) {
      const { done, value } = await lines.next();
      if (done || value === undefined) throw new CommandError(ExitCode.INVALID_INPUT, 'EOF');
      const text = trimSpace(value);
      if (text === '') return items;
      items.push(await parse(text));
    }
  };
  ask('compares:\n');
  const compare: Init<Compare>[] = await block(parseCompare);
  ask('success requests (get, put, del):\n');
  const success: Init<RequestOp>[] = await block(parseOperation);
  ask('failure requests (get, put, del):\n');
  const failure: Init<RequestOp>[] = await block(parseOperation);
  await lines.return();
  const readOnly = [...success, ...failure].every((op) => op.requestRange !== undefined);
  const response = await client.call(
    services['etcdserverpb.KV'].Txn,
    { compare, success, failure },
    readOnly ? 'read' : 'write',
    { timeoutMs: Number.POSITIVE_INFINITY },
  );
  context.print(txnReport(response));
};
